# SPDX-License-Identifier: ISC
"""GDB reads this file: the commands `vmm ...`."""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import vmm  # noqa: E402  (found by the line above)

vmm.look()
