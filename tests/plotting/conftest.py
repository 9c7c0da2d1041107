import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test has drawn: displays draw as soon as they are built."""
    yield
    plt.close("all")
