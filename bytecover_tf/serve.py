r"""Serve a catalogue over HTTP, with a page to use it by.

The page, and whatever asks over HTTP, can identify recordings, compare two, search the
catalogue, change it, and decide what is unsure. /api/openapi.json describes all
requests, /metrics is for Prometheus.

Only this machine can ask, unless --host says otherwise; others need the token. SIGTERM
or Ctrl-C stops the server once the requests at work are done.

Examples:
  bytecover serve --catalogue music.catalogue
  BYTECOVER_TOKEN=$(openssl rand -hex 32) bytecover serve --catalogue music.catalogue \
      --host 0.0.0.0
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a catalogue until told to stop; return the exit status."""
    parser = cli.parser("serve", __doc__)
    cli.add_catalogue_argument(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; any but this machine's own needs a token",
    )
    parser.add_argument(
        "--port", type=cli.natural_int, default=8000, help="0 chooses a free one"
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="let requests name files in this folder by their path, and add them to "
        "the catalogue; may be repeated",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="its first line is what requests must bring (default: the environment "
        "variable BYTECOVER_TOKEN, if it is set)",
    )
    cli.add_encoder_argument(parser, cli.MADE_WITH)
    cli.add_calibration_argument(parser)
    cli.add_record_argument(parser)
    bounds = parser.add_argument_group("bounds")
    bounds.add_argument(
        "--workers",
        type=cli.positive_int,
        default=2,
        metavar="N",
        help="processes that do the work; of two or more, one is kept free of jobs",
    )
    for option, default, meaning in (
        ("--max-upload", 512, "MiB that a request may send"),
        ("--max-memory", 4096, "MiB that a worker may hold (Linux)"),
        ("--max-seconds", 120, "seconds that a request may take"),
        ("--max-job-seconds", 3600, "seconds that a job may take"),
        ("--max-waiting", 16, "requests that may wait for a worker"),
        ("--max-jobs", 8, "jobs that may wait or run"),
        ("--keep", 3600, "seconds for which the result of a job is kept"),
    ):
        bounds.add_argument(
            option, type=cli.positive_int, default=default, metavar="N", help=meaning
        )
    options = parser.parse_args(arguments)
    cli.require_extra(
        "server", "fastapi", "uvicorn", "python_multipart", "prometheus_client"
    )

    from bytecover_tf.cores import usable_cores
    from bytecover_tf.data.files import existing_folder
    from bytecover_tf.server.access import is_loopback, read_token
    from bytecover_tf.server.engine import EngineSettings
    from bytecover_tf.server.limits import Limits
    from bytecover_tf.server.running import listen, serve
    from bytecover_tf.server.service import Service

    token = read_token(options.token_file)
    is_local = is_loopback(options.host)
    if not is_local and not token:
        parser.error(
            f"--host {options.host} can be reached by others, so it needs a token: "
            "--token-file, or BYTECOVER_TOKEN in the environment"
        )
    threads = max(usable_cores() // options.workers, 1)
    service = Service.of(
        EngineSettings(
            options.catalogue,
            options.encoder,
            options.calibration,
            options.record,
            threads,
        ),
        options.workers,
        Limits(
            upload_bytes=options.max_upload * 2**20,
            seconds=options.max_seconds,
            job_seconds=options.max_job_seconds,
            memory_bytes=options.max_memory * 2**20,
            waiting=options.max_waiting,
            jobs=options.max_jobs,
            kept_seconds=options.keep,
        ),
        [existing_folder(folder) for folder in options.allow],
        token,
        is_local,
    )
    serve(service, listen(options.host, options.port))
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
