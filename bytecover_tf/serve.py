r"""Serve a catalogue over HTTP, with a web page.

The page, and whatever asks over HTTP, can identify recordings, compare two, search the
catalogue, change it, and decide what is unsure. /api/openapi.json describes all
requests, /metrics is for Prometheus.

Only this machine can ask, unless --host says otherwise; others need the token. SIGTERM
or Ctrl-C stops the server: requests at work have 30 s to end, jobs are ended.

Examples:
  bytecover serve --catalogue music.catalogue
  BYTECOVER_TOKEN=$(openssl rand -hex 32) bytecover serve --catalogue music.catalogue \
      --host 0.0.0.0
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.serve_options import serve_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a catalogue until told to stop; return the exit status."""
    parser = serve_parser(__doc__)
    options = parser.parse_args(arguments)
    cli.require_extra(
        "server", "fastapi", "uvicorn", "python_multipart", "prometheus_client"
    )

    from bytecover_tf.cores import usable_cores
    from bytecover_tf.data.files import existing_folder
    from bytecover_tf.server.access import is_loopback, read_token
    from bytecover_tf.server.engine import EngineSettings
    from bytecover_tf.server.limits import Limits
    from bytecover_tf.server.running import serve
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
            cli.hearing_of(options.hearing),
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
    serve(service, options.host, options.port)
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
