"""A download is whole, verified and in place, or it is one line of complaint: a server truncates, stalls, lies and redirects."""

import hashlib
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from _server import Server

from bench.errors import Unavailable
from bench.external.download import Rules, download
from bench.external.fingerprint import Fingerprint

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FAST = Rules(local=True, pause=0.0, patience=5.0, tries=3)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    server.files["/thing.bin"] = CONTENT
    yield server
    server.close()


@pytest.fixture
def get(server, tmp_path):
    """Fetch /thing.bin, or another path, to tmp_path/thing.bin."""

    def get(sha256=SHA256, path="/thing.bin", rules=FAST, **options):
        return download(server.root + path, tmp_path / "thing.bin", Fingerprint(sha256=sha256), rules=rules, **options)

    return get


def refused(get, says, **options):
    with pytest.raises(Unavailable, match=says) as caught:
        get(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left(folder):
    return sorted(p.name for p in folder.iterdir())


def first_bytes_only(server, count):
    """However often it is asked."""
    return lambda handler: server.serve(handler, cut=0 if handler.headers.get("Range") else count)


def once(server, *answers):
    """The first requests are answered by these, the others well."""
    queue = list(answers)

    def behave(handler):
        if not queue:
            return False
        queue.pop(0)(handler)
        return True

    server.behave = behave


def always(server, answer):
    server.behave = lambda handler: answer(handler) or True


# -- what goes well
@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8], ""])
def test_a_file_arrives_whole_and_alone(get, server, tmp_path, sha256):
    seen = []
    assert get(sha256, progress=lambda done, total: seen.append((done, total))) == SHA256
    assert (tmp_path / "thing.bin").read_bytes() == CONTENT
    assert left(tmp_path) == ["thing.bin"]
    assert (seen[0], seen[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))
    assert len(server.asked) == 1


def test_what_lies_there_is_replaced_only_by_the_right_file(get, server, tmp_path):
    (tmp_path / "thing.bin").write_bytes(b"earlier")
    refused(get, "sha256", sha256="0" * 64)
    assert (tmp_path / "thing.bin").read_bytes() == b"earlier"
    get()
    assert (tmp_path / "thing.bin").read_bytes() == CONTENT


def test_a_redirect_is_followed(get, server):
    always(server, lambda h: redirect(h, "/thing.bin") if h.path == "/old" else server.serve(h))
    assert get(path="/old") == SHA256


def test_a_length_that_nobody_states(get, server):
    always(server, lambda h: server.serve(h, length="none"))
    assert get() == SHA256


# -- truncated, stalled, lying
def test_a_truncated_download_goes_on_where_it_broke_off(get, server, tmp_path):
    once(server, lambda h: server.serve(h, cut=100_000), lambda h: server.serve(h, cut=50_000))
    assert get() == SHA256
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert left(tmp_path) == ["thing.bin"]


def test_the_next_call_goes_on_from_the_part(get, server, tmp_path):
    always(server, first_bytes_only(server, 100_000))
    refused(get, r"the connection ended at 100,000 of 300,000 bytes; the same command goes on from there")
    assert left(tmp_path) == ["thing.bin.part", "thing.bin.part.json"]
    assert json.loads((tmp_path / "thing.bin.part.json").read_text()) == {
        "url": f"{server.root}/thing.bin",
        "mark": '"one"',
        "size": 300_000,
    }
    server.behave = lambda handler: False
    assert get() == SHA256
    assert server.asked[-1][1] == "bytes=100000-"


def test_a_part_of_another_address_is_not_continued(get, server, tmp_path):
    server.files["/other.bin"] = CONTENT
    always(server, first_bytes_only(server, 1000))
    refused(get, "ended at", path="/other.bin")
    server.behave = lambda handler: False
    assert get() == SHA256
    assert server.asked[-1] == ("/thing.bin", None)


def test_a_part_that_was_whole_already_is_not_asked_for_again(get, server, tmp_path):
    (tmp_path / "thing.bin.part").write_bytes(CONTENT)
    note = {"url": f"{server.root}/thing.bin", "mark": '"one"', "size": len(CONTENT)}
    (tmp_path / "thing.bin.part.json").write_text(json.dumps(note))
    assert get() == SHA256
    assert server.asked == []


@pytest.mark.parametrize("note", ["", "[]", "{", "null"])
def test_a_damaged_note_means_from_the_start(get, server, tmp_path, note):
    (tmp_path / "thing.bin.part").write_bytes(b"x" * 1000)
    (tmp_path / "thing.bin.part.json").write_text(note)
    assert get() == SHA256
    assert server.asked == [("/thing.bin", None)]


def test_a_server_that_keeps_truncating_is_given_up(get, server):
    always(server, lambda h: server.serve(h, cut=1000, ranges=False))
    refused(get, r"the connection ended at 1,000 of 300,000 bytes")
    assert len(server.asked) == 1 + FAST.tries  # the first one brought something new


def test_a_server_that_stalls_is_given_up_and_what_came_is_kept(get, server, tmp_path):
    def stall(handler):
        first_bytes_only(server, 5000)(handler)
        handler.wfile.flush()
        server.released.wait(10)

    always(server, stall)
    refused(get, r"sends nothing any more; the same command goes on", rules=Rules(local=True, pause=0.0, patience=0.1, tries=1))
    assert (tmp_path / "thing.bin.part").stat().st_size == 5000


def test_a_server_that_never_answers_is_given_up(get, server):
    always(server, lambda h: server.released.wait(10))
    refused(get, r"sends nothing any more$", rules=Rules(local=True, pause=0.0, patience=0.1, tries=2))
    assert len(server.asked) == 2


def test_a_length_that_is_too_long(get, server):
    always(server, lambda h: server.serve(h, length=len(CONTENT) + 7))
    refused(get, r"the server has nothing beyond what came: .* the length that it stated is false")


def test_a_length_that_is_too_short_is_found_by_the_hash(get, server, tmp_path):
    always(server, lambda h: server.serve(h, length=1000))
    refused(get, r"its sha256 is \w{64}, expected \w{64}: not the published file, thrown away")
    assert left(tmp_path) == []


@pytest.mark.parametrize("length", ["many", "-5"])
def test_a_length_that_is_no_number(get, server, length):
    always(server, lambda h: server.serve(h, length=length))
    assert get() == SHA256


def test_chunks_that_end_in_the_middle(get, server):
    def broken(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"ffff\r\n" + CONTENT[:100])

    always(server, broken)
    refused(get, r"the connection ended in the middle")


# -- ranges that are refused, files that change
def test_a_server_without_ranges_starts_over(get, server):
    once(server, lambda h: server.serve(h, cut=100_000), lambda h: server.serve(h, ranges=False))
    assert get() == SHA256


def changes(server):
    """After the first, broken answer another file of the same length lies there."""

    def answer(handler):
        server.serve(handler, cut=100_000)
        server.files["/thing.bin"], server.etag = bytes(len(CONTENT)), server.etag and '"two"'

    once(server, answer)
    return hashlib.sha256(bytes(len(CONTENT))).hexdigest()


def test_a_file_that_changes_between_two_requests_is_fetched_anew(get, server, tmp_path):
    now = changes(server)
    assert get("") == now  # not one half of each
    assert get(now) == now


def test_a_change_that_the_server_hides_is_found_by_the_hash(get, server, tmp_path):
    server.etag = None
    now = changes(server)
    assert get(now) == now  # the mixture is thrown away, and the file fetched from the start
    assert server.asked[-1][1] is None


def test_a_part_without_validator_or_hash_is_not_continued(get, server):
    server.etag = None
    once(server, lambda h: server.serve(h, cut=100_000))
    assert get("") == SHA256
    assert [asked for _, asked in server.asked] == [None, None]


def test_a_server_that_ignores_if_range(get, server):
    def stale(handler):
        del handler.headers["If-Range"]
        server.serve(handler)

    now = changes(server)
    first = server.behave
    server.behave = lambda handler: first(handler) or stale(handler) or True
    assert get("") == now


def test_a_file_that_became_shorter(get, server):
    def shrink(handler):
        server.serve(handler, cut=100_000)
        server.files["/thing.bin"] = CONTENT[:50_000]

    once(server, shrink)
    assert get("") == hashlib.sha256(CONTENT[:50_000]).hexdigest()


def test_another_range_than_asked_for(get, server):
    def shifted(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 5-299999/300000")
        handler.send_header("Content-Length", "299995")
        handler.end_headers()
        handler.wfile.write(CONTENT[5:])

    once(server, lambda h: server.serve(h, cut=100_000), shifted)
    assert get() == SHA256


# -- wrong, missing, too large
def test_a_wrong_hash_is_thrown_away(get, tmp_path):
    complaint = refused(get, "not the published file", sha256="dcbb9e9d")
    assert SHA256 in complaint
    assert left(tmp_path) == []


def test_a_file_that_is_not_there(get, server, tmp_path):
    refused(get, r"cannot fetch .*/gone\.bin: the server answers 404 Not Found: the file has moved or is gone", path="/gone.bin")
    assert len(server.asked) == 1  # asking again would not help
    assert left(tmp_path) == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(get, server, code):
    once(server, lambda h: h.send_error(code), lambda h: h.send_error(code))
    assert get() == SHA256
    always(server, lambda h: h.send_error(code))
    refused(get, rf"the server answers {code} ", path="/other.bin")


def test_a_file_beyond_the_limit(get, server, tmp_path):
    rules = Rules(local=True, pause=0.0, largest=1000)
    refused(get, r"it has 300,000 bytes, 1,000 are allowed", rules=rules)
    always(server, lambda h: server.serve(h, length="none"))
    refused(get, r"it has more than 1,000 bytes, 1,000 are allowed", rules=rules)
    assert left(tmp_path) == []


# -- redirects and addresses
def redirect(handler, target, code=302):
    handler.send_response(code)
    handler.send_header("Location", target)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://192.0.2.1/x", "data:text/plain,x", "http://localhost.example.org/x"]
)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_scheme_is_refused(get, server, tmp_path, target, code):
    always(server, lambda h: redirect(h, target, code))
    refused(get, r"redirects to .*refused, files are fetched over https only" if ":" in target[:5] else "refused")
    assert left(tmp_path) == []


def test_redirects_without_end(get, server):
    always(server, lambda h: redirect(h, h.path))
    refused(get, "the server redirects without end")
    always(server, lambda h: redirect(h, f"{h.path}x"))
    refused(get, "the server redirects without end")


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://example.org/x", "https:///x", "/etc/passwd", ""]
)
def test_only_https_is_fetched(url, tmp_path):
    with pytest.raises(Unavailable, match="refused, files are fetched over https only"):
        download(url, tmp_path / "x")
    assert left(tmp_path) == []


# -- no network, no disk
def test_no_network(tmp_path):
    with pytest.raises(Unavailable, match=r"cannot fetch https://name\.invalid/x: its server is not found .*is there a network\?"):
        download("https://name.invalid/x", tmp_path / "x")


def test_nobody_listens(get, server):
    server.close()
    refused(get, "cannot fetch .*: Connection refused")


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
def test_a_certificate_that_nobody_signed(server, tmp_path):
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout key.pem -out cert.pem".split()
    subprocess.run(words, cwd=tmp_path, capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    with pytest.raises(Unavailable, match=r"the server's certificate is not to be trusted: self.signed certificate"):
        download(f"https://localhost:{server.http.server_port}/thing.bin", tmp_path / "x", rules=FAST)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(get, tmp_path):
    (tmp_path / "thing.bin.part").symlink_to("/dev/full")  # every write fails as on a full disk
    refused(get, r"cannot write .*thing\.bin: No space left on device; free some space, then run the same command again")


def test_a_disk_too_small_is_told_before_the_download(get, server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    refused(get, r"it needs 300,000 more bytes, .* has 1,000; free some space")


def test_a_folder_that_is_a_file(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"cannot write .*file/thing"):
        download(f"{server.root}/thing.bin", tmp_path / "file" / "thing", rules=FAST)


def test_two_at_once(get, server, tmp_path):
    """The second is told, and the first is not disturbed."""
    inside, on = threading.Event(), threading.Event()

    def slow(handler):
        inside.set()
        on.wait(10)
        server.serve(handler)

    always(server, slow)
    first = threading.Thread(target=get)
    first.start()
    inside.wait(10)
    refused(get, r"thing\.bin\.part is being fetched by another process")
    on.set()
    first.join()
    assert (tmp_path / "thing.bin").read_bytes() == CONTENT


def test_kill_in_the_middle_loses_nothing(server, tmp_path):
    half = threading.Event()

    def stall(handler):
        server.serve(handler, cut=150_000)
        handler.wfile.flush()
        half.set()
        server.released.wait(20)

    once(server, stall)
    code = (
        "import sys; from pathlib import Path; from bench.external.download import *; "
        "print(download(sys.argv[1], Path(sys.argv[2]), rules=Rules(local=True)))"
    )
    words = [sys.executable, "-c", code, f"{server.root}/thing.bin", str(tmp_path / "thing.bin")]
    root = Path(__file__).parents[2]
    child = subprocess.Popen(words, cwd=root, env={**os.environ, "no_proxy": "*"})
    assert half.wait(20)
    part = tmp_path / "thing.bin.part"
    for _ in range(200):  # what was received reaches the file a block at a time
        if part.stat().st_size:
            break
        threading.Event().wait(0.01)
    child.kill()
    child.wait()
    assert not (tmp_path / "thing.bin").exists()
    done = subprocess.run(words, cwd=root, env={**os.environ, "no_proxy": "*"}, capture_output=True, text=True)
    assert done.stdout.strip() == SHA256, done.stderr
    assert int(server.asked[-1][1].removeprefix("bytes=").rstrip("-")) > 0
