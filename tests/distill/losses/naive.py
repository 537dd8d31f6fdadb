"""Layers in float64 NumPy, by their definitions and with plain loops: what the losses are tested against."""

import numpy as np
import torch


def draw(*shape, seed=0):
    """Normal float64 values."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def tensor(array):
    return torch.from_numpy(np.asarray(array))


def array(parameter):
    return parameter.detach().numpy()


def pool(x, height, width):
    """Average of (B, C, H, W) over adaptive windows, which overlap where they do not divide the map."""
    out = np.zeros((*x.shape[:2], height, width))
    for i in range(height):
        for j in range(width):
            top, bottom = i * x.shape[2] // height, -(-(i + 1) * x.shape[2] // height)
            left, right = j * x.shape[3] // width, -(-(j + 1) * x.shape[3] // width)
            out[:, :, i, j] = x[:, :, top:bottom, left:right].mean((2, 3))
    return out


def nearest(x, height, width):
    rows = [i * x.shape[2] // height for i in range(height)]
    columns = [j * x.shape[3] // width for j in range(width)]
    return x[:, :, rows][:, :, :, columns]


def conv(x, layer):
    """Convolution of (B, C, H, W) with an odd kernel, zeros around the map."""
    weight = array(layer.weight)
    reach = weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    out = np.zeros((len(x), len(weight), *x.shape[2:]))
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            window = padded[:, :, i : i + 2 * reach + 1, j : j + 2 * reach + 1]
            out[:, :, i, j] = np.einsum("bcij,ocij->bo", window, weight)
    return out if layer.bias is None else out + array(layer.bias)[None, :, None, None]


def norm(x, layer):
    """Batch normalisation with the batch's own statistics."""
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    scale, shift = (array(p)[None, :, None, None] for p in (layer.weight, layer.bias))
    return (x - mean) / np.sqrt(variance + layer.eps) * scale + shift


def linear(x, layer):
    return x @ array(layer.weight).T + array(layer.bias)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unit(x):
    """Rows of length one."""
    return x / np.sqrt((x**2).sum(-1, keepdims=True))
