"""ESPnet, s3prl and transformers know this project from the moment that a program imports them.

``espnet_prune_hook.pth``, which the wheel puts beside this module, imports it whenever Python
starts. Nothing else happens until a host is imported; ``ESPNET_PRUNE_HOOK=0`` switches it off.
"""

import sys

_OURS, _AUTO = "espnet_prune", "transformers.models.auto"


class HostFinder:
    """Finds the modules of hosts as Python does, and tells our adapters once they are loaded."""

    def __init__(self):
        self._warned = False

    def find_spec(self, name, path=None, target=None):
        """The spec of a host's module, whose loader calls ``adapt(module)``; None for all else."""
        adapter = _adapter(name)
        if adapter is None:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is None or not hasattr(spec.loader, "exec_module"):
            return spec
        execute = spec.loader.exec_module

        def execute_and_adapt(module):
            execute(module)
            self._adapt(adapter, module)

        spec.loader.exec_module = execute_and_adapt
        return spec

    def _adapt(self, adapter, module):
        from importlib import import_module

        try:
            import_module(adapter).adapt(module)
        except Exception as error:  # a host must not break because of us
            if not self._warned:
                self._warned = True
                print(
                    f"espnet_prune stays out of {module.__name__}, expected a version of "
                    "docs/hosts.md and this project's extras for it, found "
                    f"{type(error).__name__}: {error}; ESPNET_PRUNE_HOOK=0 silences this",
                    file=sys.stderr,
                )


def _adapter(name):
    if name in ("s3prl", "s3prl.hub"):
        return "s3prl_plugin"
    # Who uses transformers without us pays nothing: it is told by whichever is imported last.
    other = {_OURS: _AUTO}.get(name, _OURS if name.startswith(f"{_AUTO}.") else None)
    if other is not None:
        return "espnet_prune.places.transformers" if other in sys.modules else None
    if name == "espnet3.components.modeling.lightning_module":
        return "espnet_prune.espnet.lightning"
    task = name.startswith("espnet2.tasks.") or (
        name.startswith("espnet3.systems.") and name.endswith("task")
    )
    return "espnet_prune.espnet.registration" if task else None


sys.meta_path.insert(0, HostFinder())
