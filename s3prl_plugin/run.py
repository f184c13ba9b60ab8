"""Deprecated: run one of s3prl's own commands, which know the upstream ``pruned_wavlm``."""

from argparse import ArgumentParser

from espnet_prune.launcher import launch, launcher_parser


def get_parser() -> ArgumentParser:
    return launcher_parser(
        "s3prl_plugin.run", "-m s3prl.run_downstream -m train -u pruned_wavlm ..."
    )


def main(cmd: list[str] | None = None) -> None:
    launch(get_parser(), cmd)


if __name__ == "__main__":
    main()
