import pytest


@pytest.fixture
def serve_packages(tmp_path, monkeypatch):
    """Return a function that lets `apt-get` and `dpkg` know one package.

    It takes a folder with the files of the package, as they lie below the root.
    """

    def serve(root):
        tools = tmp_path / "tools"
        tools.mkdir()
        for name, line in {
            "apt-get": 'touch "$2.deb"',  # download PACKAGE
            "dpkg": f'cp -R "{root}/." "$3"',  # -x FILE FOLDER
        }.items():
            (tools / name).write_text(f"#!/bin/sh\n{line}\n")
            (tools / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")

    return serve
