"""Above all other rooms: settings, keys and stored results, downloads, and the runner.

To be looked up; only notebooks and the command line use it. A notebook meets `stage` alone:

- `stage`, `results`: a notebook's inputs and steps; its tables, figures and claims.
- `steps`, `keys`, `manifest`: results stored by the hash of all that they depend on.
- `context`, `profiles`, `studies`, `paths`: a run, its settings and its folders.
- `runner`, `notebook`, `check`, `report`: run stale notebooks, render pages, say what is stale.
- `page_links`: links between pages.
- `shared_kernel`: one kernel for several notebooks, for `redraw` and for tests.
- `redraw`, `lab`: results once more from saved predictions; JupyterLab on copies of a run.
- `roots`, `releases`, `download`: data folders, given or downloaded, and their fingerprints.
- `assets`: pretrained models, fetched once or given as a folder.
- `siblings`: the same run with other training seeds.
- `torchrun`, `yardstick`: a training in several processes; seconds that mean the same everywhere.
- `claims_table`, `cards`, `models`: claims of a run; model and data card; models to be committed.
- `second_part`: the notebooks after the classifiers, on committed tokenizers.
- `given`: what a user must give before a run, and what nothing reads.
- `arms`, `docstrings`, `dry_run`, `same_parts`: the parts of a run, from its profile; whether each
  gets what its step documents; what each costs; which are the same.
- `read_command`: the committed models on an ECG of your own.
- `page_notebook`: executed pages as notebooks with their outputs.
- `site_command`, `site_sources`: all pages as HTML.
- `options`, `environment`, `errors`: the command line's options; the pinned packages; errors with a
  remedy.
"""
