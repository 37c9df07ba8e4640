"""The code hash moves with code that decides, here or in what is imported, and with nothing else."""

import importlib.util
import textwrap

import pytest

from bench.store import code_hash

FILES = {
    "part.py": '''
        """What it is."""
        import math
        from pack import helper
        from pack.deep.more import twice as double

        LIMIT = 3
        """What LIMIT is."""

        class Part:
            """A part."""
            size: int = 1  # pixels

            def run(self):
                """Run."""
                return double(helper.once(self.size)) + math.pi
    ''',
    "pack/helper.py": "def once(x):\n    return x\n",
    "pack/deep/more.py": "import pack.ring\ndef twice(x):\n    return 2 * x\n",
    "pack/ring.py": "import part\n",  # a circle
    "pack/stranger.py": "x = 1\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    monkeypatch.setattr(code_hash, "ROOT", tmp_path)

    class Module:
        __file__ = str(tmp_path / "part.py")

    def edited(name="part.py", old="", new=""):
        file = tmp_path / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        code_hash._digest.cache_clear()
        spec = importlib.util.spec_from_file_location("part", tmp_path / "part.py")
        digest = code_hash.code_hash(importlib.util.module_from_spec(spec))
        file.write_text(text)
        return digest

    yield edited
    code_hash._digest.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""What it is."""', '"""Something else."""'),
        ('"""A part."""', ""),
        ('"""Run."""', '"""Run\n        far."""'),
        ('"""What LIMIT is."""', "# what it is"),
        ("# pixels", "# metres"),
        ("size: int = 1", "size:  int  =  1"),
        ("import math\n", "\n\nimport math  # pi\n\n"),
    ],
)
def test_words_do_not_count(project, old, new):
    assert project(old=old, new=new) == project()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("part.py", "LIMIT = 3", "LIMIT = 4"),
        ("part.py", "+ math.pi", "- math.pi"),
        ("part.py", "size: int = 1", "size: int = 2"),
        ("part.py", "import math", "import cmath as math"),
        ("pack/helper.py", "return x", "return -x"),  # from package import module
        ("pack/deep/more.py", "2 * x", "3 * x"),  # from package.module import function
        ("pack/ring.py", "import part", "import part\ny = 1"),  # imported by what is imported
    ],
)
def test_code_counts(project, name, old, new):
    assert project(name, old, new) != project()


def test_a_file_that_is_not_imported_does_not_count(project):
    assert project("pack/stranger.py", "x = 1", "x = 2") == project()


def test_real_parts_differ_and_repeat():
    from bench import registry

    parts = [registry.find("method", name) for name in registry.names("method")]
    digests = [code_hash.code_hash(part) for part in parts]
    assert len(set(digests)) == len(digests)
    assert digests == [code_hash.code_hash(part) for part in parts]
    assert all(len(d) == 16 and int(d, 16) for d in digests)
