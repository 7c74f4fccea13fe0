"""Compiles the kernels for 64-bit ARM and holds them to their plain twins under qemu-user.

Usage: check_neon.py SOURCE_ROOT BUILD_FOLDER. Says "skipped" (exit 77, as Meson knows it) where the
cross compiler or the emulator is missing."""

import os
import shutil
import subprocess
import sys

COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64"
FLAGS = "-std=gnu17 -O2 -static -D_GNU_SOURCE -fno-strict-aliasing -ffp-contract=off".split()
KERNELS = "-O3 -ffp-contract=fast -fno-math-errno".split()
# The table and what it stands on; nothing that wants a library for ARM.
SOURCES = """tests/cross/kernels.c src/tensor/kernel_cases.c src/tensor/kernels.c
src/tensor/kernels_plain.c src/tensor/pack.c src/base/clock.c src/base/cpu.c src/base/dtype.c
src/base/dtype_quantise.c src/base/dtype_rare.c src/base/error.c src/base/log.c src/base/memory.c
src/base/random.c src/base/str.c""".split()
SETS = {"neon": [], "neonbf16": ["-march=armv8.6-a"]}


def main():
    root, build = sys.argv[1:3]
    if not shutil.which(COMPILER) or not shutil.which(EMULATOR):
        print(f"skipped: no {COMPILER} or no {EMULATOR}")
        return 77
    out = os.path.join(build, "neon")
    os.makedirs(out, exist_ok=True)
    objects = []
    for name, flags in SETS.items():
        objects.append(os.path.join(out, name + ".o"))
        compile_one = [COMPILER, *FLAGS, *KERNELS, *flags, "-I", os.path.join(root, "src"), "-c",
                       os.path.join(root, "src/tensor/kernels_neon.c"), "-o", objects[-1]]
        subprocess.run(compile_one, check=True)
    program = os.path.join(out, "kernels")
    sources = [os.path.join(root, source) for source in SOURCES]
    subprocess.run([COMPILER, *FLAGS, "-I", os.path.join(root, "src"), *sources, *objects, "-o",
                    program, "-lm", "-lpthread"], check=True)
    return subprocess.run([EMULATOR, "-cpu", "max", program]).returncode


if __name__ == "__main__":
    sys.exit(main())
