"""Commands of the runner in a process of their own: this one keeps databases open that they move or make anew."""

import json
import subprocess
import sys

from bench.registry import ROOT

_CODE = """
import json, sys, runner
print([runner.main(words) for words in json.loads(sys.argv[1])])
"""


def in_another_process(*commands):
    """Their exit codes, and all complaints."""
    words = json.dumps([list(map(str, command)) for command in commands])
    done = subprocess.run([sys.executable, "-c", _CODE, words], cwd=ROOT, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]), done.stderr
