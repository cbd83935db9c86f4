#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""install_as.py FILE PLACE: install FILE as PLACE below the prefix (called by meson install)."""
import os
import shutil
import sys

place = os.path.join(os.environ["MESON_INSTALL_DESTDIR_PREFIX"], sys.argv[2])
os.makedirs(os.path.dirname(place), exist_ok=True)
shutil.copyfile(sys.argv[1], place)
os.chmod(place, 0o644)
