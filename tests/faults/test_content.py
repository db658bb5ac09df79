"""What stands in a line, compared byte by byte: faults 12 to 15, and 31."""

import json
import time

import pytest
from account import Row
from rig import MEMORY

MIB = 1_048_576
# One event at most.
EVENT = MIB - 26


class Pages:
    """What is written, and what came of it: everything but the shipper's own line of each minute."""

    def __init__(self, rig, **source):
        self.rig, self.path = rig, rig.files / "a.log"
        rig.follow({"file": str(self.path), **source})
        rig.sink.say("keep")

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def came(self):
        return [event["message"] for event in self.rig.sink.kept() if '"_aws":' not in event["message"]]

    def until(self, events: int, seconds: float = 120):
        self.rig.until(lambda: len(self.came()) >= events, f"{events} events", seconds)
        time.sleep(1)
        return self.came()

    def record(self, fault: str, lines: int, note: str = "") -> None:
        self.rig._look_at_memory()
        self.rig.record(Row(fault, lines, 0, 0, 0, self.rig.peak, note))


@pytest.fixture
def pages(rig):
    return lambda **source: Pages(rig, **source)


@pytest.mark.full
def test_a_line_whose_end_comes_late(pages, rig):
    page = pages()
    rig.start()
    page.write(b"within ")
    time.sleep(3)
    page.write(b"a minute\nafter ")
    assert page.until(1) == ["within a minute"]
    # Nothing is added for a minute: it is shipped as it is.
    assert page.until(2, 90) == ["within a minute", "after "]
    page.write(b"a minute\n")
    assert page.until(3)[2:] == ["a minute"]
    page.write(b"the end without a newline")
    page.path.rename(f"{page.path}.1")
    page.path.touch()
    assert page.until(4)[3:] == ["the end without a newline"]
    page.record("12 partial lines, late newlines, no newline at the end", 4, "an unfinished line is an event after 60 s")


@pytest.mark.full
@pytest.mark.parametrize("size", [262_144, EVENT - 1, EVENT, EVENT + 1, 2 * EVENT, 10_000_000, 50 * MIB])
def test_long_lines(pages, rig, size):
    page = pages()
    line = ("0123456789abcdef" * (size // 16 + 1))[:size]
    page.write(f"before\n{line}\nafter\n".encode())
    rig.start()
    pieces = -(-size // EVENT)
    came = page.until(pieces + 2)
    assert came[0] == "before" and came[-1] == "after" and "".join(came[1:-1]) == line
    assert len(came) == pieces + 2 and max(map(len, came)) <= EVENT
    page.record(f"13 a line of {size:,} bytes", 3, f"{pieces} events")


@pytest.mark.full
def test_ten_million_lines_of_one_byte(pages, rig):
    page = pages()
    rig.sink.say("reset")
    with page.path.open("wb") as file:
        for _ in range(100):
            file.write(b"x\n" * 100_000)
    begin = time.monotonic()
    rig.start()
    rig.until(lambda: rig.sink.figures()["tally"]["lines"] >= 10_000_000, "ten million lines", 300)
    took = time.monotonic() - begin
    time.sleep(2)
    assert 0 <= rig.sink.figures()["tally"]["lines"] - 10_000_000 <= took // 60 + 1, "and a line a minute of its own"
    page.record("13 ten million lines of one byte", 10_000_000, f"in {took:.0f} s")


@pytest.mark.full
def test_bytes_of_every_kind(pages, rig):
    page = pages()
    lines = [
        (b"latin1 \xe9 and cut \xf0\x9f\x98", "latin1 � and cut �"),
        (b"\xff\xfe\xfd", "���"),
        (b"nul \0 and \x01\x1b[31mcontrol\x7f", "nul \0 and \x01\x1b[31mcontrol\x7f"),
        ("emoji 😀 \u2028 \ufeff".encode(), "emoji 😀 \u2028 \ufeff"),
        (b'quotes " \\ / \\u0041', 'quotes " \\ / \\u0041'),
        (b"carriage return\r", "carriage return"),
        (b"\ttab", "\ttab"),
    ]
    for data, _ in lines:
        page.write(data + b"\n\n")
    # Four bytes across the place where a line is split, and across every edge of the buffers it is read with.
    smiles = "😀" * (EVENT // 4 + 300_000) + "x"
    page.write(f"xx{smiles}\n".encode())
    rig.start()
    came = page.until(len(lines) + 3)
    assert came[: len(lines)] == [text for _, text in lines]
    assert "".join(came[len(lines) :]) == f"xx{smiles}"
    page.record("14 invalid UTF-8, NUL, control characters, emoji at a split", len(lines) + 1)


@pytest.mark.full
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_two_bytes_a_character(pages, rig, encoding):
    page = pages()
    mark = "\ufeff".encode(encoding)
    page.write(mark + "first 😀\nsecond ü\n".encode(encoding))
    rig.start()
    assert page.until(2) == ["first 😀", "second ü"]
    # Half a character, later the rest.
    third = "third\n".encode(encoding)
    page.write(third[:3])
    time.sleep(1)
    page.write(third[3:])
    assert page.until(3)[2:] == ["third"]
    page.record(f"14 {encoding.upper()}", 3)


@pytest.mark.full
def test_several_lines_are_one_event_over_rotation_and_restart(pages, rig):
    page = pages(multiline={"indented": True})
    rig.start()
    page.write(b"zero\n")
    assert page.until(1) == ["zero"]
    page.write(b"one\n  two\n  three\nfour\n  five\n")
    page.path.rename(f"{page.path}.1")
    page.write(b"six\n  seven\n")
    assert page.until(4)[1:] == ["one\n  two\n  three", "four\n  five", "six\n  seven"]
    rig.stop()
    page.write(b"eight\n  nine\nten\n")
    rig.start()
    assert page.until(6)[4:] == ["eight\n  nine", "ten"]
    page.record("15 several lines as one event, rotated and restarted", 6)


KEY = "AKIAIOSFODNN7EXAMPLF"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "".join(f"MIIEow{n:058d}\n" for n in range(20)) + "-----END RSA PRIVATE KEY-----\n"


@pytest.mark.full
def test_secrets_at_every_edge_are_masked(pages, rig):
    page = pages()
    page.write(f"plain {KEY} end\n".encode())
    # Over the edge of what is read at once, wherever that lies.
    for before in range(-25, 26, 5):
        place = page.path.stat().st_size
        edge = (place // 262_144 + 1) * 262_144
        fill = edge + before - place
        page.write(b"".join(b"." * 99 + b"\n" for _ in range(fill // 100)) + b"-" * (fill % 100) + f" {KEY} \n".encode())
    # Over the place where a long line is split.
    for before in range(0, 25, 4):
        page.write(b"y" * (EVENT - before) + f" {KEY} ".encode() + b"z" * 1000 + b"\n")
    page.write(PEM.encode())
    # In what the service refuses.
    page.write(f"POISON {KEY}\n".encode())
    page.write(b"the end\n")
    rig.start()
    rig.until(lambda: "the end" in page.came(), "the last line", 120)
    rig.until(lambda: (rig.state / "dead-letter.jsonl").exists(), "the dead letter")
    text = "\n".join(page.came())
    dead = (rig.state / "dead-letter.jsonl").read_text()
    assert "POISON" in dead and json.loads(dead.splitlines()[0])["message"].startswith("POISON")
    whole = text.replace("\n", "")
    assert KEY not in whole and KEY not in dead and "MIIEow" not in text
    for file in rig.state.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    page.record("31 secrets over every edge, in PEM blocks, in dead letters", text.count("\n") + 1, "none left the process")
    assert rig.peak <= MEMORY
