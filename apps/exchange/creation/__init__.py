"""New datasets made of what people bring, step by step.

- A ``DatasetSketch`` holds what was decided so far (``content``), so no step is lost. What was
  uploaded lies in the data directory (``uploads``), never in memory.
- ``survey`` looks at the beginning of the rows, ``guesses`` proposes where each column goes and
  says why, ``outline`` makes a dataset and a column mapping of it.
- ``services.create_dataset_of`` publishes the dataset and starts the job that brings its records:
  ``importing`` (a file) or ``copying`` (another dataset). Each chunk of records is stored with the
  place where reading goes on, so a killed worker neither loses nor repeats one.
"""
