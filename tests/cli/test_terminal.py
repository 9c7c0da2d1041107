"""Errors are one line, stdout is for results, and terminals are not written to."""

import re
import shlex
import subprocess
import sys

import pytest

from tests.cli.conftest import save_picture, vlclust


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cluster", "/no/such/folder"], "/no/such/folder"),
        (["cluster"], "FOLDER"),
        (["clster"], "Did you mean 'cluster'?"),
        (["cluster", "{pictures}", "--k", "0"], "expected auto or a number from 1"),
        (["cluster", "{pictures}", "--k", "seven"], "expected auto or a number from 1"),
        (["cluster", "{pictures}", "--k", "25"], "more than the 24 images"),
        (["cluster", "{pictures}", "--method", "magic"], "rate-reduction"),
        (["cluster", "{pictures}", "--encoder", "./nothing"], "no such folder"),
        (["cluster", "{pictures}", "--words", "nothing.txt"], "nothing.txt"),
        (["cluster", "{pictures}", "--link", "--copy"], "exclude each other"),
        (["search", "{pictures}", "cat", "--text", "--image"], "exclude each other"),
    ],
)
def test_a_wrong_command_line(arguments, message, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [argument.format(pictures=pictures) for argument in arguments]
    run = vlclust(*arguments)
    assert run.code == 2 and run.out == ""
    assert message in run.err and run.err.startswith("vlclust: ")
    assert run.err.count("\n") == 1 and "Traceback" not in run.err
    as_json = vlclust(*arguments, "--json")
    assert as_json.code == as_json.json["exit_code"] == 2
    assert message in as_json.json["error"]
    assert not list(tmp_path.iterdir())


def test_a_run_that_fails(tmp_path):
    (tmp_path / "empty").mkdir()
    run = vlclust("cluster", tmp_path / "empty", "--out", tmp_path / "out")
    assert run.code == 1 and run.err.endswith("holds no images.\n")
    with pytest.raises(ValueError, match="holds no images"):
        vlclust("cluster", tmp_path / "empty", "--out", tmp_path / "out", "--debug")
    assert not (tmp_path / "out").exists()


def test_words_without_a_word(pictures, tmp_path):
    (tmp_path / "words.txt").write_text("\n \n_\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    common = ["cluster", pictures, "--out", tmp_path / "out", "--words"]
    run = vlclust(*common, tmp_path / "words.txt")
    assert run.code == 2 and "holds no words" in run.err
    run = vlclust(*common, tmp_path / "latin.txt")
    assert run.code == 2 and "latin.txt', line 1: not text in UTF-8" in run.err
    (tmp_path / "words.csv").write_text('noun,synonyms\ncat,"kitty\n')
    run = vlclust(*common, tmp_path / "words.csv")
    assert run.code == 2 and "--words" in run.err and "line 2" in run.err


def test_one_image_is_too_few(pictures, options, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "0.png").write_bytes((pictures / "red" / "0.png").read_bytes())
    run = vlclust("cluster", folder, "--out", tmp_path / "out", *options)
    assert run.code == 1 and "need two" in run.err


def test_help_names_commands_and_exit_codes():
    run = vlclust("--help")
    assert run.code == 0
    for word in ("cluster", "predict", "search", "report", "doctor", "Exit codes"):
        assert word in run.out
    assert "130 interrupted" in " ".join(vlclust("cluster", "-h").out.split())
    assert vlclust("--version").out.startswith("vlclust ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 猫", "plain é 猫"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("gnp\u202egpj", "gnp\\u202egpj"),
        ("\u2028", "\\u2028"),
        ("[red]x[/red] :smile:", "[red]x[/red] :smile:"),
    ],
)
def test_text_of_others_does_not_reach_the_terminal(text, shown, tmp_path):
    run = vlclust("cluster", tmp_path / text)
    assert run.code == 2 and str(tmp_path / shown) in run.err
    assert run.err.count("\n") == 1


def test_numbers_and_their_nouns(pictures, options, tmp_path):
    (tmp_path / "one").mkdir()
    for color in ("red", "blue"):
        (tmp_path / "one" / color).symlink_to(pictures / color)
    run = vlclust(
        *["cluster", tmp_path / "one", "--k", 1, "--out", tmp_path / "out", *options]
    )
    assert "16 images in 1 cluster " in run.out.replace(".", " ")


def test_help_does_not_wait_for_what_runs_need():
    heavy = ["numpy", "sklearn", "torch", "PIL", "matplotlib"]
    code = (
        "import sys; from sklearn_vlclust.cli import app; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


COMMANDS = re.findall(r"^│ ([a-z]+) ", vlclust("--help").out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_that_is_understood(command):
    shown = " ".join(vlclust(command, "--help").out.split())
    example = re.search(r"Example: vlclust (.+?)(?= ╭| Exit codes)", shown)
    assert example[1].split()[0] == command
    # An option that does not exist ends with code 2 and its name.
    run = vlclust(*shlex.split(example[1]), "--no-such-option")
    assert "No such option: --no-such-option" in run.err


def test_messages_name_options_not_parameters(options, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        save_picture(folder / f"{i}.png", (200, 30, 30), 0)
    run = vlclust("cluster", folder, "--k", 3, "--out", tmp_path / "out", *options)
    assert run.code == 0
    assert "Only 1 of the 3 clusters hold pictures" in run.err
    assert "n_clusters" not in run.err + run.out
    run = vlclust("recut", tmp_path / "out", "--k", 2)
    assert run.code == 0 and "Only 1 of the 2 clusters hold pictures" in run.err
    run = vlclust(
        *("cluster", folder, "--encoder", "ViT-B-3/openai", "--out", tmp_path / "other")
    )
    assert "--encoder 'ViT-B-3' is not known" in run.err
