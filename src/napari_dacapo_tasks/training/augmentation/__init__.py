"""How crops are varied: turned, bent, changed in intensity, and with sections as badly cut.

`Augmenter.draw` decides (`Augmentation`: plain parameters), the other methods do it, in this
order: `Augmenter.deform_raw` and `Augmenter.deform_labels` where there is a deformation,
`Augmenter.vary` on raw alone, and `Augmentation.symmetry` on everything in the end.
"""

from napari_dacapo_tasks.training.augmentation.augmenter import Augmentation, Augmenter
from napari_dacapo_tasks.training.augmentation.deformation import Deformation

__all__ = ["Augmentation", "Augmenter", "Deformation"]
