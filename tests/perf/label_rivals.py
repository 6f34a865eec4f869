"""Other packages' labelling and region statistics behind one shape, each by the fastest documented call."""

import numpy as np
from scipy import ndimage

EIGHT_CONNECTED = np.ones((3, 3))


def ssimae(mask):
    """Return labels and their number."""
    from ssimae import label_regions

    return label_regions(mask)


def connected_components_3d(mask):
    """Binary images have a path of their own; 32-bit labels come out as small as they fit, and are not copied."""
    import cc3d

    return cc3d.connected_components(mask, connectivity=8, return_N=True, binary_image=True)


def opencv(mask):
    """Spaghetti labelling, its default on one thread; the background is counted too."""
    import cv2

    count, labels = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    return labels, count - 1


def scipy(mask):
    """Into labels of 32 bits."""
    labels = np.empty(mask.shape, np.int32)
    return labels, ndimage.label(mask, EIGHT_CONNECTED, output=labels)


def scikit_image(mask):
    """The one call there is."""
    from skimage.measure import label

    return label(mask, return_num=True, connectivity=2)


LABELLING = {
    "connected-components-3d": connected_components_3d,
    "opencv": opencv,
    "scipy": scipy,
    "scikit-image": scikit_image,
}


def ssimae_statistics(mask):
    """Return areas and boxes (top, left, bottom, right) of labels that are computed, too."""
    from ssimae import label_regions, region_statistics

    found = region_statistics(*label_regions(mask))
    return found.areas, found.boxes


def connected_components_3d_statistics(mask):
    import cc3d

    labels = cc3d.connected_components(mask, connectivity=8, binary_image=True)
    found = cc3d.statistics(labels, no_slice_conversion=True)
    boxes = found["bounding_boxes"][1:].astype(np.int64)
    return found["voxel_counts"][1:], np.stack([boxes[:, 0], boxes[:, 2], boxes[:, 1] + 1, boxes[:, 3] + 1], axis=1)


def opencv_statistics(mask):
    import cv2

    _, _, found, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    left, top, width, height, area = found[1:].T
    return area, np.stack([top, left, top + height, left + width], axis=1)


def scikit_image_statistics(mask):
    from skimage.measure import label, regionprops_table

    found = regionprops_table(label(mask, connectivity=2), properties=("area", "bbox"))
    return found["area"], np.stack([found[f"bbox-{side}"] for side in range(4)], axis=1)


STATISTICS = {
    "connected-components-3d": connected_components_3d_statistics,
    "opencv": opencv_statistics,
    "scikit-image": scikit_image_statistics,
}

PACKAGES = {
    "connected-components-3d": "cc3d", "opencv": "cv2", "scipy": "scipy", "scikit-image": "skimage",
}  # fmt: skip
DISTRIBUTIONS = {"opencv": "opencv-python-headless"}
