"""A catalogue behind HTTP: identification, comparison and upkeep, and a page for them.

`http` takes requests, `pool` hands the work to processes, `engine` is what each of
these does. The page in `static` needs nothing from elsewhere.
"""
