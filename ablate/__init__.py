"""Ablation studies of BatchNormalization and Dropout in Keras networks, with evidence."""
