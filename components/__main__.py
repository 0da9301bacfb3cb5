"""Serves the component package. Pulumi runs `python FOLDER`, whatever the folder's place and name."""

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

if __name__ == "__main__":
    # `python FOLDER` searches the folder for modules; they belong to the package, and must not hide modules of Python.
    del sys.path[0]
    spec = importlib.util.spec_from_file_location(
        "components", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"{FOLDER} is not the package's folder")
    sys.modules["components"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["components"])

    from pulumi.provider import main

    from components.package import Package

    main(Package(), sys.argv[1:])
