"""The options of the command line. No other package is imported, so that help needs none."""

import argparse


def parser() -> argparse.ArgumentParser:
    """All options of a run; `study` and `lab` are written before them. `test`, `bench`, `redraw`,
    `read`, `site` and `ipynb` take words and options of their own."""
    options = argparse.ArgumentParser(
        prog="bash run_all.sh",
        description="Execute the notebooks. Finished, unchanged work is reused.",
        epilog="bash run_all.sh test [pytest options] runs the tests; bash run_all.sh bench [NAME] "
        "the benchmarks; bash run_all.sh study [NAME ...] [options] lists or executes studies; "
        "bash run_all.sh lab [options] opens JupyterLab on copies of the notebooks and of a "
        "finished run; bash run_all.sh redraw [RUN ...] makes tables, claims and figures of "
        "finished runs again from their predictions; bash run_all.sh read FILE applies the "
        "committed models to an ECG of your own (read --help); bash run_all.sh site makes HTML of "
        "all pages, bash run_all.sh ipynb [RUN ...] notebooks. Environment: ECGLIB_HOME is the "
        "folder for artifacts and downloaded data, ECGLIB_OUT that for reports and figures; "
        "ECGLIB_RELEASES='NAME=URL NAME=URL' names "
        "mirrors of the releases ptbxl, mimic and code15, laid out like the originals; "
        "ECGLIB_NO_STAMP=1 leaves the run's name and key off the figures.",
        allow_abbrev=False,
    )
    add = options.add_argument
    sizes = "sizes: smoke, mini, laptop (default), rehearsal, gpu or gpu_ptbxl"
    add("--profile", default="laptop", help=sizes)
    add("--data", default="synthetic", help="data plan: synthetic (default), ptbxl, mimic, ...")
    root = "data folder; without one, a public release is downloaded to artifacts/data"
    add("--data-root", action="append", default=[], metavar="DIR|NAME=DIR", help=root)
    add("--asset", action="append", default=[], metavar="NAME=DIR", help="local folder of an asset")
    add("--dask", default="", metavar="tcp://HOST:PORT", help="scheduler that builds the cohorts")
    add("--tag", default="", help="gives the run a name of its own")
    add("--seed", type=int, default=0, help="seed of all random draws (default 0)")
    again = "other random draws in training, on the same patients: a run beside the one with 0"
    add("--training-seed", type=int, default=0, metavar="K", help=again)
    add("--from", dest="first", metavar="NN", help="this notebook and all after it")
    add("--only", metavar="NN,NN", help="only these notebooks")
    add("--force", default="", metavar="NN,NN|all", help="make these again, with all their steps")
    committed = "take the models of reports/RUN/models instead of training them, where keys agree"
    outside = "a tokenizer or a system in a file of your own (docs/adding.md)"
    add("--plugin", default="", metavar="FILE", help=outside)
    share = "processes that share each update of a language model (one for each GPU; default 1)"
    add("--processes", type=int, default=1, metavar="N", help=share)
    add("--committed-models", action="store_true", help=committed)
    part = "notebooks 01 and 04 to 09 alone; 02 and 03 are taken as they are committed"
    add("--second-part", action="store_true", help=part)
    does = options.add_mutually_exclusive_group()
    does.add_argument("--list", action="store_true", help="list the notebooks and stop")
    does.add_argument("--check", action="store_true", help="list what is stale, and why, and stop")
    prefetch = "fetch the assets, or the data release NAME (ptbxl, mimic, code15), and stop"
    does.add_argument("--prefetch", nargs="?", const="", metavar="NAME", help=prefetch)
    does.add_argument(
        "--dry-run", action="store_true", help="print sizes and costs of the run or study, and stop"
    )
    return options


if __name__ == "__main__":
    parser().print_help()
