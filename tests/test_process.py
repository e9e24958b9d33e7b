"""The process as a shell sees it: closed and broken streams, interrupts, pagers, odd bytes and paths, exit codes."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE
from terminal import at_terminal, needs_terminal, program

from kb.cli.complain import complain_of


def shell(line: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, `kb` being this checkout on the sample."""
    environment = {**os.environ, "KB_DATA": str(SAMPLE), "PYTHONPATH": str(ROOT), **extra}
    script = f"set -o pipefail; kb() {{ '{sys.executable}' -m kb \"$@\"; }}; {line}"
    return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("kb", 2, ""),
        ("kb list | head -1", 0, ""),
        ("kb list --json | head -1", 0, ""),
        ("kb --help | head -1", 0, ""),
        ("kb list >&-", 0, ""),
        ("kb explain LSTM 2>&-", 0, ""),
        ("kb explain nothing-like-it 2>&-", 1, ""),
        ("kb list > /dev/full", 1, "cannot write the answer"),
        (r"kb explain $'\xff\xfe'", 1, "no concept named"),
        ("kb explain ''", 1, "an empty name"),
        ("kb list --data /tmp", 1, "is a folder"),
        ("kb -L zh", 2, ""),
        ("kb demo dropout --seed 99999999999999999999", 2, "is not in the range"),
        ("kb demo lstm --plot /nowhere/x.png", 1, "cannot write"),
        ("kb demo lstm --eject $(printf %0300d 1)", 1, "File name too long"),
        ("kb demo lstm --plot $(printf %0300d 1)", 1, "File name too long"),
        ("kb demo lstm --plot /dev/stdout --json", 2, "--json has standard output already"),
        ("kb list --data '~nosuch/x'", 1, "no knowledge base at"),
        ("kb list --data /dev/tty", 1, "cannot read /dev/tty"),
        ("cd $(mktemp -d); ln -s loop loop; kb list --data loop", 1, "Too many levels of symbolic links"),
        ("cd $(mktemp -d); ln -s loop loop; KB_CACHE_DIR=loop kb list", 0, ""),
        ("cd $(mktemp -d); ln -s loop loop; KB_CACHE_DIR=loop kb doctor", 1, ""),
        ("kb list --data $(printf %0300d 1)", 1, "File name too long"),
        ("kb search --queries - <&-", 1, "standard input is closed"),
        ("kb search --queries /tmp", 1, "cannot read /tmp"),
        ("kb explain LSTM <&-", 0, ""),
    ],
)
def test_a_shell_gets_its_code_and_no_traceback(line: str, code: int, said: str) -> None:
    done = shell(line)
    assert "Traceback" not in done.stderr
    assert said in done.stderr
    assert done.returncode == code, done.stderr


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("encoding", ["gbk", "ascii", "latin-1"])
def test_a_narrow_encoding_loses_characters_not_the_answer(encoding: str) -> None:
    done = shell("kb explain LSTM --lang both | wc -l", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


@pytest.mark.usefixtures("warm")
def test_a_narrow_encoding_writes_a_formula_that_can_be_read() -> None:
    done = shell("kb explain LSTM; kb explain ‘nothing’", PYTHONIOENCODING="ascii")
    assert "c_t = f_t" in done.stdout
    assert "c_{t-1}" in done.stdout
    assert "no concept named ''nothing''" in done.stderr


def test_an_empty_knowledge_base_answers_with_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("[]", encoding="utf-8")
    for command, code in (
        ("list", 0),
        ("search x", 1),
        ("explain x", 1),
        ("export obsidian " + str(tmp_path / "v"), 0),
    ):
        done = shell(f"kb {command}", KB_DATA=str(empty))
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_broken_configuration_leaves_help_and_speaks_the_users_language(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("x =", encoding="utf-8")
    world = {"KB_CONFIG_DIR": str(tmp_path), "LANG": "zh_CN.UTF-8"}
    assert shell("kb --help", **world).returncode == 0
    done = shell("kb list", **world)
    assert done.returncode == 1
    assert "请修正该文件" in done.stderr


@pytest.mark.usefixtures("warm")
def test_json_holds_nothing_that_a_terminal_would_act_on() -> None:
    done = shell("kb search --mode lexical --json $'x\\u202e\\u009bgradient'")
    assert not set(done.stdout) & set("\u202e\u009b\x1b")
    assert "\\u202e" in done.stdout


@pytest.mark.usefixtures("warm")
def test_an_answer_does_not_fail_by_what_is_said_beside_it() -> None:
    whole = shell("kb list")
    for line in ("kb list 2>/dev/full", "kb list 2>&1 >&3 3>&- | true; exit ${PIPESTATUS[0]}"):
        done = shell(f"exec 3>&1; {line}")
        assert (done.returncode, done.stdout) == (0, whole.stdout), done.stderr
    assert shell("kb explain nothing-like-it 2>/dev/full").returncode == 1


def test_no_file_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "import sys; from kb.cli import entry; entry._open_streams(); "
        "file = open(sys.argv[1], 'w'); file.write(str(file.fileno()))"
    )
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        (tmp_path / "number").touch()
        done = shell(f"'{sys.executable}' -c \"{code}\" '{tmp_path}/number' {closed}")
        assert int((tmp_path / "number").read_text()) > 2, (closed, done.stderr)


@pytest.mark.usefixtures("warm")
def test_what_is_echoed_of_the_command_line_is_short() -> None:
    for command in ("", "explain", "list --data", "search --mode lexical", "demo", "model use", "x"):
        done = shell(f"kb {command} $(printf '%0100000d' 1)", KB_LANG="zh")
        assert done.returncode in (1, 2), done.stderr
        assert 10 < len(done.stderr) < 2000, command


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EACCES, "kb: a/b: Permission denied\n    make it readable for you, or move it away\n"),
        (errno.ENAMETOOLONG, "kb: a/b: File name too long\n"),
        (errno.EROFS, "kb: a/b: Read-only file system\n"),
        (errno.ENOSPC, "kb: a/b: No space left on device\n"),
    ],
)
def test_what_the_system_refuses_is_one_line(code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complain_of(OSError(code, os.strerror(code), "a/b"), [], "en") == 1
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "", "a/b"), RuntimeError("x"), OSError("x")], ids=repr
)
def test_a_mistake_of_ours_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        complain_of(error, [], "en")
    assert raised.value is error


# Interrupts


def interrupted(when: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """A command that receives SIGINT where some code says so: `when` is run before kb is imported."""
    code = (
        "import os, signal, sys\n"
        "def interrupt(): os.kill(os.getpid(), signal.SIGINT)\n"
        f"{when}\nsys.argv = ['kb', *sys.argv[1:]]\nfrom kb.cli.entry import run\nrun()\n"
    )
    environment = {**os.environ, "KB_DATA": str(SAMPLE), "PYTHONPATH": str(ROOT), **extra}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def at_import(module: str) -> str:
    return (
        "def watch(event, about):\n"
        f"    if event == 'import' and about[0] == {module!r}: interrupt()\n"
        "sys.addaudithook(watch)"
    )


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("kb.cli.app", "explain LSTM"),
        ("typer", "explain LSTM"),
        ("kb.show.card", "explain LSTM"),
        ("sqlite3", "explain LSTM"),
        ("yaml", "explain LSTM"),
        ("rich.console", "explain LSTM"),
        ("numpy", "search gradient"),
        ("numpy._core._multiarray_umath", "search gradient"),
        ("onnxruntime", "search gradient"),
        ("onnxruntime.capi.onnxruntime_pybind11_state", "search gradient"),
        ("torch", "demo lstm --quick"),
        ("json", "--help"),
    ],
)
def test_an_interrupt_during_an_import_is_130_without_a_word(module: str, command: str) -> None:
    done = interrupted(at_import(module), *command.split())
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


IN_COMMAND = "import kb.snapshot.store\ndef spoiled(*_):\n    {}\nkb.snapshot.store.open_store = spoiled"
LOST = "class Lost:\n        def __del__(self): interrupt()\n    Lost()"
TURNED = "try: interrupt()\n    except KeyboardInterrupt: raise ImportError('numpy failed')"
SWALLOWED = "try: interrupt()\n    except KeyboardInterrupt: pass\n    raise SystemExit(0)"


@pytest.mark.parametrize("what", ["interrupt()", LOST, TURNED, SWALLOWED], ids=["plain", "lost", "turned", "swallowed"])
def test_an_interrupt_is_130_whatever_becomes_of_it_on_its_way(what: str) -> None:
    done = interrupted(IN_COMMAND.format(what), "list")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupt_before_the_command_line_is_read_is_130_too() -> None:
    done = interrupted("import kb.cli.entry\ninterrupt()", "list")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_second_interrupt_does_not_wait_for_what_the_first_has_begun() -> None:
    stubborn = (
        "try: interrupt()\n    except KeyboardInterrupt:\n"
        "        try: interrupt()\n        except KeyboardInterrupt: print('not reached', flush=True)"
    )
    done = interrupted(IN_COMMAND.format(stubborn), "list")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_python_m_kb_is_as_quiet(tmp_path: Path) -> None:
    (tmp_path / "usercustomize.py").write_text(
        "import os, signal, sys\ndef interrupt(): os.kill(os.getpid(), signal.SIGINT)\n" + at_import("typer") + "\n"
    )
    (tmp_path / "sitecustomize.py").write_text("import usercustomize\n")
    done = shell("kb list", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_job_in_the_background_is_not_interrupted() -> None:
    done = interrupted("signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + at_import("sqlite3"), "list")
    assert done.returncode == 0, done.stderr
    assert "long-short-term-memory" in done.stdout


def test_a_process_that_runs_a_demo_is_started_deaf_to_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import Future

    from kb.cli.demos import every
    from kb.cli.demos.run import Run

    class Pool(list[set[signal.Signals]]):
        def __init__(self, *_: object, **__: object) -> None:
            pools.append(self)

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def submit(self, *_: object) -> Future[str]:
            self.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
            done: Future[str] = Future()
            done.set_result("report")
            return done

    pools: list[Pool] = []
    monkeypatch.setattr(every, "ProcessPoolExecutor", Pool)
    run = Run("cpu", 0, None, quick=True)
    assert list(every._reports(every.all_demos()[:2], run, "cpu", 2)) == ["report", "report"]
    assert all(signal.SIGINT in mask for mask in pools[0])
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


# Terminals and pagers


LAST = "It adds two numbers across a long gap"
"""Of the card of the LSTM."""


@needs_terminal
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("line", ["kb explain LSTM <&-", "kb explain LSTM --no-pager", "kb explain LSTM </dev/null"])
def test_a_card_is_shown_where_nobody_can_press_a_key(line: str, tmp_path: Path) -> None:
    program("less", tmp_path, "echo PAGED")
    with at_terminal(line, tmp_path) as terminal:
        assert terminal.finish() == 0, terminal.seen
        assert LAST.encode() in terminal.seen
        assert b"PAGED" not in terminal.seen


@needs_terminal
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(
    "pager", ["false", "   ", "", "less 'x", "nosuch-pager", "cat", "broken", "missing-interpreter", "killed"]
)
def test_the_answer_is_there_whatever_the_pager_does(pager: str, tmp_path: Path) -> None:
    program("less", tmp_path, "exec cat")
    program("broken", tmp_path, "cat >/dev/null; exit 3")
    program("killed", tmp_path, "kill -SEGV $$")
    program("missing-interpreter", tmp_path, "")
    (tmp_path / "bin" / "missing-interpreter").write_text("#!/nowhere/sh\n")
    with at_terminal("kb explain LSTM", tmp_path, PAGER=pager) as terminal:
        assert terminal.finish() == 0, terminal.seen
        assert terminal.seen.count(LAST.encode()) == 1
        assert b"Traceback" not in terminal.seen


@needs_terminal
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("options", ["", "-j10", "-i", "-FX", None])
@pytest.mark.parametrize("pager", [None, "less", "less -S"])
def test_less_is_told_to_show_colours_whatever_else_it_is_told(
    pager: str | None, options: str | None, tmp_path: Path
) -> None:
    program("less", tmp_path, 'echo "ARGUMENTS $* LESS $LESS."; exec cat')
    extra = ({"PAGER": pager} if pager else {}) | ({"LESS": options} if options is not None else {})
    with at_terminal("kb explain LSTM", tmp_path, **extra) as terminal:
        assert terminal.finish() == 0, terminal.seen
        arguments = " -S" if pager == "less -S" else ""
        said = f"ARGUMENTS -R{arguments} LESS {'-FRX' if options is None else options}."
        assert said.encode() in terminal.seen
        assert b"\x1b[1" in terminal.seen


@needs_terminal
@pytest.mark.usefixtures("warm")
def test_a_pager_that_would_show_codes_gets_text_alone(tmp_path: Path) -> None:
    program("more", tmp_path, "echo PAGED; exec cat")
    with at_terminal("kb explain LSTM", tmp_path, PAGER="more") as terminal:
        assert terminal.finish() == 0, terminal.seen
        assert b"PAGED" in terminal.seen
        assert LAST.encode() in terminal.seen
        assert b"\x1b" not in terminal.seen


@needs_terminal
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("code", [0, 2])
def test_a_pager_has_ctrl_c_for_itself(code: int, tmp_path: Path) -> None:
    wait = f"until test -e '{tmp_path}/stop'; do sleep 0.1; done"
    program("less", tmp_path, f"trap 'echo CAUGHT' INT; echo SHOWN; {wait}; echo LEFT; exit {code}")
    with at_terminal("kb explain LSTM; echo CODE $?", tmp_path) as terminal:
        assert terminal.wait(lambda: b"SHOWN" in terminal.seen), terminal.seen
        terminal.type("\x03")
        assert terminal.wait(lambda: b"CAUGHT" in terminal.seen), terminal.seen
        (tmp_path / "stop").touch()
        terminal.finish()
        assert b"LEFT" in terminal.seen
        assert b"CODE 0" in terminal.seen
        assert LAST.encode() not in terminal.seen, "who left the pager has seen enough"


# Places


def homeless(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """A command of a user whom the system does not know, without HOME."""
    unknown = "import pwd\ndef unknown(uid): raise KeyError(uid)\npwd.getpwuid = unknown"
    code = f"import sys\n{unknown}\nsys.argv[0] = 'kb'\nfrom kb.cli.entry import run\nrun()\n"
    names = ("HOME", "KB_CACHE_DIR", "KB_CONFIG_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    world = {name: value for name, value in os.environ.items() if name not in names}
    world |= {"KB_DATA": str(SAMPLE), "PYTHONPATH": str(ROOT), **extra}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=world, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows every user")
@pytest.mark.parametrize("command", ["explain LSTM", "list", "search gradient -n 1", "model", "demo --list", "lint"])
def test_a_user_without_a_home_gets_an_answer(command: str) -> None:
    done = homeless(*command.split())
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows every user")
def test_a_user_without_a_home_is_told_so_where_it_matters() -> None:
    doctor = homeless("doctor")
    assert "no home folder: in memory" in doctor.stdout
    assert "set HOME or KB_CACHE_DIR" in doctor.stdout
    for command, said in (
        ("model use bundled", "no home folder to keep a setting in"),
        ("--install-completion bash", "there is no home folder"),
    ):
        done = homeless(*command.split(), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
        assert done.returncode == 1, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_tilde_in_a_variable_is_the_home(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "config.toml").write_text('language = "zh"', encoding="utf-8")
    world = {"HOME": str(tmp_path), "KB_CACHE_DIR": "~/kept", "KB_CONFIG_DIR": "~/settings"}
    done = shell(f"cd '{tmp_path}'; kb list", **world)
    assert "个概念" in done.stderr
    assert list((tmp_path / "kept").glob("*.sqlite"))
    assert not (tmp_path / "~").exists()


@pytest.mark.demo
def test_a_picture_on_standard_output_has_it_to_itself(tmp_path: Path) -> None:
    picture = tmp_path / "x.png"
    done = shell(f"echo before > '{picture}'; kb demo forward-backprop --quick --plot /dev/stdout >> '{picture}'")
    assert done.returncode == 0, done.stderr
    content = picture.read_bytes()
    assert content.startswith(b"before\n\x89PNG")
    assert content.endswith(b"IEND\xaeB`\x82")
    assert "holds" in done.stderr


def test_code_goes_into_a_pipe_that_stays_one(tmp_path: Path) -> None:
    pipe, code = tmp_path / "pipe", tmp_path / "code.py"
    done = shell(f"mkfifo '{pipe}'; cat '{pipe}' > '{code}' & kb demo lstm --eject '{pipe}'; wait")
    assert done.returncode == 0, done.stderr
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert code.read_text(encoding="utf-8").startswith('"""LSTM')


def test_a_path_that_is_no_utf_8_is_the_one_that_was_named(tmp_path: Path) -> None:
    done = shell(
        f"cd {tmp_path} && cp {SAMPLE} $'d\\xe9.yaml' && "
        r"kb export obsidian $'vault\xe9' && kb list --data $'d\xe9.yaml'"
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 11
    assert sorted(os.listdir(os.fsencode(tmp_path)))[-2:] == [b"d\xe9.yaml", b"vault\xe9"]  # noqa: PTH208  (bytes)
