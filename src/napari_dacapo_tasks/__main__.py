"""``python -m napari_dacapo_tasks``."""

from napari_dacapo_tasks.cli import main

if __name__ == "__main__":
    main()
