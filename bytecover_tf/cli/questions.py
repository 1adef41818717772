"""Questions of a review on a terminal, and the keys that answer them."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bytecover_tf.errors import ByteCoverError, DataError
from bytecover_tf.extras import require_extra
from bytecover_tf.terminal import clock, counted, show, warn

if TYPE_CHECKING:
    from bytecover_tf.catalogues import Catalogue, Recording
    from bytecover_tf.matching.decisions import Decision, Record
    from bytecover_tf.matching.questions import Question

# Seconds that a player plays from where the recordings match.
_PLAYED = 20

# Begins what an arrow or a function key sends; the rest follows within so many seconds.
_ESCAPE, _PAUSE = b"\x1b", 0.05

_HELP = "[a]ccept [r]eject [s]kip  play [1] [2]  [p]icture  [u]ndo [q]uit"


def print_question(question: Question) -> None:
    """Print a question with its evidence."""
    facts = question.evidence
    show(
        f"{question.number}: probability {facts['probability']:.2f}, similarity "
        f"{facts['similarity']:.2f} ({question.verdict or question.reason})"
    )
    _print_recording("1", question.first)
    _print_recording("2", question.second)
    here = f"{clock(facts['query_start'])}-{clock(facts['query_end'])}"
    there = f"{clock(facts['recording_start'])}-{clock(facts['recording_end'])}"
    tempo = facts["tempo_ratio"]
    moved = f", key {facts['transposition']:+d}, tempo x {tempo:.2f}" if tempo else ""
    show(f"  {here} of 1 = {there} of 2{moved}")


def _print_recording(side: str, recording: Recording) -> None:
    work = f", work {recording.work}" if recording.has_named_work else ""
    known = ", ".join(filter(None, (recording.isrc, recording.iswc)))
    more = f" ({clock(recording.duration)}{work}{known and f', {known}'})"
    show(f"  {side} {recording.label}{more}")
    show(f"    {recording.path}")


def print_decision(decision: Decision) -> None:
    """Print what was decided."""
    works = sorted({after for _, after in decision.changes.values()})
    count = counted(len(decision.changes), "recording has", "recordings have")
    changed = f"; {count} the work {', '.join(works)} now"
    show(f"{decision.action}: kept{changed if works else ''}; `undo` takes it back")


def print_undone(decision: Decision, count: int) -> None:
    """Print what was undone, and how many recordings got their work back."""
    back = counted(count, "recording has its", "recordings have their")
    show(f"{decision.action} undone; {back} former work again")


def ask(catalogue: Catalogue, record: Record) -> None:
    """Show one question after another; a key decides each.

    Args:
        catalogue: what the questions are about.
        record: keeps the decisions.
    """
    from bytecover_tf.matching.questions import queue

    with _Player() as player:
        session = _Session(catalogue, record, player)
        while session.goes_on:
            questions = [
                question
                for question in queue(catalogue, record)
                if question.number not in session.skipped
            ]
            if not questions:
                show(f"no more questions, {len(session.skipped)} skipped")
                return
            print()
            print_question(questions[0])
            show(f"{counted(len(questions), 'question', 'questions')}  {_HELP}")
            while not session.press(read_key(), questions[0]):
                pass


class _Session:
    """What keys do."""

    def __init__(self, catalogue: Catalogue, record: Record, player: _Player) -> None:
        self.goes_on = True
        self.skipped: set[int] = set()
        self._catalogue = catalogue
        self._record = record
        self._player = player

    def press(self, key: str, question: Question) -> bool:
        """Do what a key asks for; return whether that is all about the question.

        An error is told, and the next key may do better.
        """
        from bytecover_tf.matching import questions, review

        facts = question.evidence
        try:
            if key in ("a", "r"):
                decision = review.decide(
                    self._catalogue, question.pair, key == "a", record=self._record
                )
                print_decision(decision)
            elif key == "s":
                self.skipped.add(question.number)
            elif key == "u":
                decisions = self._record.read()
                if decisions and decisions[-1].action == "group":
                    # A key takes back what was decided here, not a night's work.
                    raise DataError(
                        "the latest decision is a merge of `group`; `group --undo` or "
                        "`review undo` takes it back"
                    )
                undone, count = review.undo(self._catalogue, self._record)
                self.skipped.clear()
                print_undone(undone, count)
            elif key in ("q", ""):
                self.goes_on = False
            elif key == "1":
                self._player.play(question.first, facts["query_start"])
            elif key == "2":
                self._player.play(question.second, facts["recording_start"])
            elif key == "p":
                require_extra("plots", "matplotlib")
                # In a new folder: another name could be known, and a link there.
                folder = tempfile.mkdtemp(prefix="bytecover-")
                path = Path(folder) / f"question-{question.number}.png"
                questions.draw(self._catalogue, question, path)
                show(f"written: {path}")
            else:
                show(_HELP)
        except (ByteCoverError, OSError) as error:
            warn(f"error: {error}")
            return False
        return key in ("a", "r", "s", "u", "q", "")


def read_key() -> str:
    """Wait for a key; empty at the end of the input.

    A key that sends several characters, as an arrow does, is an escape, which means
    nothing.
    """
    try:
        import termios
        import tty
    except ImportError:  # where there is no termios, with the return key
        return sys.stdin.readline().strip()[:1] or "q"
    before = termios.tcgetattr(sys.stdin)
    try:
        # By default it would drop the keys pressed before.
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        terminal = sys.stdin.fileno()
        key = os.read(terminal, 1)
        while key == _ESCAPE and select.select([terminal], [], [], _PAUSE)[0]:
            if not os.read(terminal, 32):
                break
        return key.decode(errors="replace").lower()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class _Player:
    """Plays one recording at a time by a program that is there."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def play(self, recording: Recording, start: float) -> None:
        """Play a recording from some second on; a missing player is told."""
        self._stop()
        ffplay, mpv = shutil.which("ffplay"), shutil.which("mpv")
        if ffplay:
            options = ["-nodisp", "-autoexit", "-ss", f"{start}", "-t", f"{_PLAYED}"]
            command = [ffplay, *options, recording.path]
        elif mpv:
            times = [f"--start={start}", f"--length={_PLAYED}"]
            command = [mpv, "--no-video", *times, recording.path]
        else:
            show("to play recordings, install ffplay (of FFmpeg) or mpv")
            return
        quiet = subprocess.DEVNULL
        self._running = subprocess.Popen(
            command, stdin=quiet, stdout=quiet, stderr=quiet
        )

    def _stop(self) -> None:
        if self._running is not None:
            self._running.terminate()
            self._running.wait()
            self._running = None
