"""The page's modules, run by node on values from Python."""

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

BROWSER = Path(str(files("nmt.export.web") / "browser"))


def run_script(script: str, given: Any) -> Any:
    """Run a script with a value `given`, next to the modules; return its value. Skip without node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on this machine")
    names = ("vocabulary", "text", "protection", "parts", "search", "sentences", "translator")
    imports = "\n".join(f"import * as {name} from '{(BROWSER / name).as_uri()}.js';" for name in names)
    code = f"""
{imports}
import fs from 'node:fs';
const work = async (given) => {{ {script} }};
const result = await work(JSON.parse(fs.readFileSync(0, 'utf8')));
process.stdout.write(JSON.stringify(result));
"""
    done = subprocess.run(
        [node, "--input-type=module", "-e", code],
        input=json.dumps(given),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
