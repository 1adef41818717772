"""The parser of a command line, and the arguments that several commands share."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bytecover_tf.errors import ConfigError, DataError
from bytecover_tf.terminal import warn

if TYPE_CHECKING:
    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.audio.hearing import Hearing
    from bytecover_tf.data.files import Found
    from bytecover_tf.data.track import Track
    from bytecover_tf.stores.feature_store import FeatureStore

# What the help of --encoder says where there is a catalogue.
MADE_WITH = " (default: the one that the catalogue was made with)"


# Formats that Matplotlib draws.
_PICTURES = (".png", ".pdf", ".svg", ".jpg", ".webp")


class HelpFormatter(
    argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter
):
    """Keeps the lines of a description, and shows defaults that are worth showing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, [], ""):
            return action.help
        return super()._get_help_string(action)


def positive_int(text: str) -> int:
    """Read a whole number from 1 on, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number < 2**31:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 1 on, of 31 bits at most, found {text!r}"
        )
    return number


def natural_int(text: str) -> int:
    """Read a whole number from 0 on, for argparse."""
    return 0 if text.strip() == "0" else positive_int(text)


def positive_float(text: str) -> float:
    """Read a finite number above 0, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a finite number above 0, found {text!r}"
        )
    return number


def probability(text: str) -> float:
    """Read a number above 0 and at most 1, for argparse."""
    number = positive_float(text)
    if number > 1:
        raise argparse.ArgumentTypeError(
            f"expected a probability, above 0 and at most 1, found {text!r}"
        )
    return number


def port(text: str) -> int:
    """Read the number of a port, 0 for a free one, for argparse."""
    number = natural_int(text)
    if number >= 2**16:
        raise argparse.ArgumentTypeError(
            f"expected a port, a number below {2**16}, found {text!r}"
        )
    return number


def picture_file(text: str) -> Path:
    """Read the name of a picture to write, for argparse."""
    path = Path(text)
    if path.suffix.lower() not in _PICTURES:
        raise argparse.ArgumentTypeError(
            f"expected a name that ends in {', '.join(_PICTURES)}, found {text!r}"
        )
    return output_file(text)


def output_file(text: str) -> Path:
    """Read the name of a file to write, for argparse.

    What could only fail after all the work is refused before it.
    """
    path = file_in_new_folder(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def file_in_new_folder(text: str) -> Path:
    """Read the name of a file to write, whose folder is made, for argparse."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file, {text} is a folder")
    output_folder(str(path.parent))
    return path


def output_folder(text: str) -> Path:
    """Read the name of a folder to write into, for argparse."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder, {text} is a file")
    return path


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for `python -m bytecover_tf.<module>`.

    Args:
        module: its name.
        description: what --help says; the docstring of the module.
    """
    return argparse.ArgumentParser(
        prog=f"python -m bytecover_tf.{module}",
        description=description,
        formatter_class=HelpFormatter,
    )


def parse_paths(
    arguments: argparse.ArgumentParser, given: Sequence[str] | None
) -> argparse.Namespace:
    """Parse arguments that may stand before, between and after paths.

    After `--` a path may begin with a dash.

    Args:
        arguments: the command's parser.
        given: the arguments; by default those of the process.
    """
    given = list(sys.argv[1:] if given is None else given)
    if "--" in given:
        # argparse cannot tell the two apart when they are mixed.
        end = given.index("--")
        paths = given[end + 1 :]
        given[end:] = [f"./{path}" if path.startswith("-") else path for path in paths]
    return arguments.parse_intermixed_args(given)


def add_data_arguments(arguments: argparse.ArgumentParser, default: str | None) -> None:
    """Add the options that name a data set and its features."""
    from bytecover_tf.data import DATASETS

    group = arguments.add_argument_group("data")
    group.add_argument(
        "--data",
        choices=sorted(DATASETS),
        default=default,
        required=default is None,
        help="which data set to read",
    )
    group.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="the folder of the data set, or the file of a manifest; not needed for "
        "tunes",
    )
    group.add_argument(
        "--split-seed",
        type=natural_int,
        metavar="N",
        help="divide the works 8:1:1 into train, validation and test by this seed, if "
        "the data comes without a split",
    )
    group.add_argument(
        "--features",
        type=Path,
        metavar="DIR",
        help="the feature store; missing features are extracted into it first "
        "(default: features-HASH beside the data, where HASH stands for the frontend)",
    )
    group.add_argument(
        "--workers",
        type=positive_int,
        metavar="N",
        help="number of processes that decode and transform (default: one per core)",
    )
    group.add_argument(
        "--source-pool",
        type=positive_int,
        metavar="N",
        help="for .npy recordings: how many frames of the transform are averaged in "
        "each of their columns (default: what it was when their features were "
        "extracted, at first 1)",
    )
    add_truncated_argument(group)


def add_encoder_argument(
    arguments: argparse._ActionsContainer, more: str, **options: Any
) -> None:
    """Add the option that names an encoder.

    Args:
        arguments: the command's parser, or a group in it.
        more: further words for its help.
        **options: options of the argument, such as its default.
    """
    arguments.add_argument(
        "--encoder",
        metavar="NAME|PATH",
        help="an encoder that comes with the package, such as bytecover-small, a run "
        f"directory of train, an encoder.keras or an export{more}",
        **options,
    )


def add_catalogue_argument(arguments: argparse.ArgumentParser, more: str = "") -> None:
    """Add the option that names a catalogue.

    Args:
        arguments: the command's parser.
        more: what else its help says.
    """
    arguments.add_argument(
        "--catalogue",
        required=True,
        metavar="ADDRESS",
        help=f"a folder, or milvus://host:port/collection{more}",
    )


def add_search_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the options that name a catalogue and what it was made with."""
    add_catalogue_argument(arguments)
    add_encoder_argument(arguments, MADE_WITH)
    add_hearing_argument(arguments)
    add_calibration_argument(arguments)


def add_threads_argument(arguments: argparse.ArgumentParser) -> None:
    """Add the option that tells how many threads to use."""
    arguments.add_argument(
        "--workers",
        type=positive_int,
        metavar="N",
        help="number of threads (default: one per core)",
    )


def add_seed_argument(
    arguments: argparse.ArgumentParser, what: str = "all random choices"
) -> None:
    """Add the option that seeds random numbers.

    Args:
        arguments: the command's parser.
        what: they decide.
    """
    arguments.add_argument(
        "--seed", type=natural_int, default=0, help=f"seed of {what}"
    )


def add_record_argument(
    arguments: argparse.ArgumentParser,
    use: str = "which are respected and can be undone",
    on_server: str = "required for a catalogue on a server",
) -> None:
    """Add the option that names what keeps decisions about works.

    Args:
        arguments: of the command.
        use: what becomes of the decisions, for the help.
        on_server: what if the catalogue has no folder, for the help.
    """
    arguments.add_argument(
        "--record",
        type=output_file,
        metavar="FILE",
        help=f"the file that keeps decisions about works, {use} (default: "
        f"decisions.json in the folder of the catalogue; {on_server})",
    )


def add_again_argument(arguments: argparse.ArgumentParser) -> None:
    """Add the option that reads files which seem to be as they were."""
    arguments.add_argument(
        "--look-again",
        action="store_true",
        help="read files even if their size and time have not changed",
    )


def add_truncated_argument(arguments: argparse._ActionsContainer) -> None:
    """Add the option that takes files of which the end is missing."""
    arguments.add_argument(
        "--allow-truncated",
        action="store_true",
        help="use what is there of truncated files, with a warning",
    )


def add_hearing_argument(arguments: argparse.ArgumentParser) -> None:
    """Add the option that names the network that heard a catalogue's notes."""
    arguments.add_argument(
        "--hearing",
        metavar="FILE",
        help="the network that heard the catalogue's notes, if it is your own and "
        "has moved",
    )


def hearing_of(given: str | None) -> Hearing | None:
    """Return what an option --hearing names; None for `none` and for no option."""
    from bytecover_tf.audio.hearing import named_hearing

    return None if given is None else named_hearing(given)


def add_calibration_argument(arguments: argparse.ArgumentParser) -> None:
    """Add the option that names a calibration."""
    arguments.add_argument(
        "--calibration",
        metavar="FILE",
        help="a file that `calibrate` wrote (default: the one beside the "
        "encoder, else the package's own, which uses the alignment alone)",
    )


def find_recordings(paths: Sequence[str]) -> Found:
    """Return the recordings that paths name, and tell what is left out of folders.

    Raises:
        DataError: there are none.
    """
    from bytecover_tf.data.files import search_all

    found = search_all(paths)
    for line in found.left_out():
        warn(line)
    if not found.recordings:
        raise DataError(f"{', '.join(paths)}: expected recordings, found none")
    return found


def read_tracks(options: argparse.Namespace) -> list[Track]:
    """Return the tracks that the data options name."""
    from bytecover_tf import data

    return data.read_tracks(options.data, options.data_root, options.split_seed)


def open_features(
    options: argparse.Namespace,
    tracks: Sequence[Track],
    frontend: Frontend,
) -> tuple[list[Track], FeatureStore]:
    """Return the tracks that have features, and the store that the data options name.

    Args:
        options: the parsed data options.
        tracks: the recordings.
        frontend: parameters that the features must have.

    Raises:
        ByteCoverError: see `bytecover_tf.data.features.open_features`.
    """
    from bytecover_tf.data import features

    store = options.features or features.default_store(
        options.data, options.data_root, frontend, tracks
    )
    return features.open_features(
        tracks,
        store,
        frontend,
        options.workers,
        options.source_pool,
        options.allow_truncated,
    )


def add_out_argument(arguments: argparse.ArgumentParser) -> None:
    """Add the option that names the encoder to write."""
    arguments.add_argument(
        "--out",
        type=_keras_file,
        required=True,
        metavar="FILE",
        help="the .keras file to write",
    )


def _keras_file(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".keras":
        raise ConfigError(f"--out {text}: the name must end in .keras")
    return path
