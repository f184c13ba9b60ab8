"""Puts ``espnet_prune_hook.pth`` at the top of the wheel, for which setup.cfg has no word."""

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

HOOK = "espnet_prune_hook.pth"


class BuildWithHook(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            self.copy_file(HOOK, f"{self.build_lib}/{HOOK}")

    def get_outputs(self, include_bytecode=True):
        return [*super().get_outputs(include_bytecode), f"{self.build_lib}/{HOOK}"]


class EditableWithHook(editable_wheel):
    # An editable wheel holds no outputs of build_py; what is unpacked beside it goes in as it is.
    def _run_build_commands(self, dist_name, unpacked_wheel, build_lib, tmp_dir):
        self.copy_file(HOOK, f"{unpacked_wheel}/{HOOK}")
        return super()._run_build_commands(dist_name, unpacked_wheel, build_lib, tmp_dir)


setup(cmdclass={"build_py": BuildWithHook, "editable_wheel": EditableWithHook})
