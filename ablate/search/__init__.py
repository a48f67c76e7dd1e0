"""Search: Keras Tuner's oracles propose points, the study's executors train them.

`driver.search` runs a study's `search` section to its confirmed winners; `hypermodel.hypermodel`
is a variant as a `keras_tuner.HyperModel` for any stock tuner; `results.found` reads what a search
found from its store, without Keras.
"""
