"""The families of KerasHub, each as small as it can be built, without a download.

`FAMILIES` maps a name to a function that returns the backbone; `tasks(name, backbone)` yields the
tasks that KerasHub has for it. `python -m tests.surgery.families` writes the table of
`docs/models.md` from a run over all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras

TEXT = {"vocabulary_size": 20, "vocab_size": 20, "num_layers": 2, "num_heads": 2, "hidden_dim": 8,
        "num_attention_heads": 2, "num_query_heads": 2, "num_key_value_heads": 2, "head_dim": 4,
        "intermediate_dim": 16, "max_sequence_length": 12, "embedding_dim": 8, "num_experts": 2,
        "moe_intermediate_dim": 8, "shared_expert_intermediate_dim": 8, "num_layers_enc": 2,
        "shared_expert_intermediate_size": 8, "top_k": 1, "num_layers_dec": 2, "head_size": 4,
        "hidden_size": 8, "filter_dim": 8, "encoder_num_layers": 2, "decoder_num_layers": 2,
        "encoder_num_heads": 2, "decoder_num_heads": 2, "attention_bias": False,
        "attention_dropout": 0.1, "rope_layer_enabled_list": [True, True], "mlp_bias": False,
        "layer_types": ["full_attention"] * 2, "layer_norm_epsilon": 1e-5, "rope_theta": 1e4,
        "max_position_embeddings": 12, "partial_rotary_factor": 1.0,
        "rotary_percentage": 0.5}  # fmt: skip
GEMMAS = {"vocabulary_size": 20} | {
    f"{side}_{key}": value
    for side in ("encoder", "decoder")
    for key, value in {"hidden_dim": 8, "intermediate_dim": 16, "num_layers": 2, "head_dim": 4,
                       "num_attention_heads": 2, "num_key_value_heads": 2,
                       "layer_types": ["full_attention"] * 2}.items()
}  # fmt: skip
IMAGE = {"image_shape": (32, 32, 3), "patch_size": 8, "num_layers": 2, "num_heads": 2,
         "hidden_dim": 8, "mlp_dim": 16, "intermediate_dim": 16, "hidden_size": 8}  # fmt: skip

#: Families whose arguments are those of text models, as far as they have them.
_TEXTS = (
    "Albert", "Bart", "Bert", "Bloom", "DebertaV3", "DistilBert", "Electra", "ESM2", "ESM",
    "EdRec", "FNet", "Falcon", "GPT2", "GPTNeoX", "Gemma", "GptOss", "Llama3", "Llama",
    "Mistral", "Mixtral", "OPT", "Phi3", "Qwen2", "Qwen3", "Qwen3Moe", "Qwen3_5",
    "Qwen3_5Moe", "Qwen", "QwenMoe", "RWKV7", "Roberta", "RoformerV2", "SmolLM3", "SmolLM",
    "T5", "Whisper", "XLMRoberta", "XLNet",
)  # fmt: skip


def _text(name: str) -> Any:
    return _made(name, TEXT)


def _made(name: str, offered: dict[str, Any], **own: Any) -> Any:
    import keras_hub

    made = getattr(keras_hub.models, f"{name}Backbone")
    takes = inspect.signature(made.__init__).parameters
    return made(**{key: value for key, value in offered.items() if key in takes}, **own)


def _resnet(**own: Any) -> Any:
    arguments: dict[str, Any] = {
        "input_conv_filters": [64], "input_conv_kernel_sizes": [7], "block_type": "basic_block",
        "stackwise_num_filters": [64, 64, 64], "stackwise_num_blocks": [1, 1, 1],
        "stackwise_num_strides": [1, 2, 2], "image_shape": (32, 32, 3)}  # fmt: skip
    return _made("ResNet", {**arguments, **own})


def _mit() -> Any:
    return _made("MiT", {
        "layerwise_depths": [1] * 4, "num_layers": 4, "layerwise_num_heads": [1, 2, 2, 2],
        "layerwise_sr_ratios": [8, 4, 2, 1], "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [7, 3, 3, 3], "layerwise_strides": [4, 2, 2, 2],
        "image_shape": (64, 64, 3), "hidden_dims": [8, 16, 24, 32]})  # fmt: skip


def _vit() -> Any:
    return _made("ViT", IMAGE)


def _gemma(name: str) -> Any:
    return _made(name, {**TEXT, "image_size": 16, "vision_encoder": None})


FAMILIES = {name: (lambda name=name: _text(name)) for name in _TEXTS} | {
    "ResNet": _resnet,
    "VGG": lambda: _made("VGG", {"stackwise_num_repeats": [1, 1], "image_shape": (32, 32, 3),
                                 "stackwise_num_filters": [4, 8]}),
    "DenseNet": lambda: _made("DenseNet", {"stackwise_num_repeats": [1, 2], "growth_rate": 4,
                                           "image_shape": (32, 32, 3)}),
    "Xception": lambda: _made("Xception", {"stackwise_conv_filters": [[4, 8], [8, 8]],
                                           "stackwise_pooling": [True, False],
                                           "image_shape": (32, 32, 3)}),
    "EfficientNet": lambda: _made("EfficientNet", {
        "stackwise_width_coefficients": [1.0, 1.0], "stackwise_depth_coefficients": [1.0, 1.0],
        "stackwise_kernel_sizes": [3, 3], "stackwise_num_repeats": [1, 2],
        "stackwise_input_filters": [8, 8], "stackwise_output_filters": [8, 16],
        "stackwise_expansion_ratios": [1, 2], "stackwise_strides": [1, 2],
        "stackwise_squeeze_and_excite_ratios": [0.25, 0.25], "num_features": 16,
        "stackwise_block_types": ["v1", "v1"], "stackwise_force_input_filters": [0, 0],
        "stackwise_nores_option": [False, False], "input_shape": (32, 32, 3)}),
    "MobileNet": lambda: _made("MobileNet", {
        "stackwise_expansion": [[8], [16, 16]], "stackwise_num_blocks": [1, 2],
        "stackwise_num_filters": [[8], [16, 16]], "stackwise_kernel_size": [[3], [3, 3]],
        "stackwise_num_strides": [[2], [2, 1]], "stackwise_se_ratio": [[None], [0.25, 0.25]],
        "stackwise_activation": [["relu"], ["hard_swish", "hard_swish"]],
        "stackwise_padding": [[1], [1, 1]], "output_num_filters": 16, "input_num_filters": 8,
        "input_activation": "hard_swish", "output_activation": "hard_swish",
        "depthwise_filters": 8, "depthwise_stride": 2, "depthwise_residual": False,
        "last_layer_filter": 16, "image_shape": (32, 32, 3)}),
    "HGNetV2": lambda: _made("HGNetV2", {
        "depths": [1, 1], "embedding_size": 8, "hidden_sizes": [8, 16], "stem_channels": [3, 8, 8],
        "hidden_act": "relu", "use_learnable_affine_block": True,
        "stackwise_stage_filters": [[8, 8, 8, 1, 1, 3], [8, 8, 16, 1, 1, 3]],
        "apply_downsample": [False, True], "use_lightweight_conv_block": [False, False],
        "image_shape": (32, 32, 3)}),
    "MiT": _mit,
    "SegFormer": lambda: _made("SegFormer", {"image_encoder": _mit(), "projection_filters": 8}),
    "DeepLabV3": lambda: _made("DeepLabV3", {
        "image_encoder": _resnet(), "low_level_feature_key": "P2", "upsampling_size": 4,
        "spatial_pyramid_pooling_key": "P4", "projection_filters": 8, "dilation_rates": [6],
        "image_shape": (32, 32, 3)}),
    "RetinaNet": lambda: _made("RetinaNet", {
        "image_encoder": _resnet(stackwise_num_filters=[64, 64, 64, 64],
                                 stackwise_num_blocks=[1] * 4, stackwise_num_strides=[1, 2, 2, 2],
                                 image_shape=(64, 64, 3)),
        "min_level": 3, "max_level": 4, "use_p5": False, "image_shape": (64, 64, 3)}),
    "ViT": _vit,
    "DeiT": lambda: _made("DeiT", IMAGE),
    "ViTDet": lambda: _made("ViTDet", {**IMAGE, "global_attention_layer_indices": [1],
                                       "window_size": 2, "image_shape": (32, 32, 3)}),
    "DINOV2": lambda: _made("DINOV2", {**IMAGE, "image_shape": (32, 32, 3)}),
    "DINOV3": lambda: _made("DINOV3", {**IMAGE, "image_shape": (32, 32, 3)}),
    "SwinTransformer": lambda: _made("SwinTransformer", {
        "image_shape": (32, 32, 3), "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2],
        "window_size": 4, "patch_size": 4}),
    "VideoPrism": lambda: _made("VideoPrism", {
        **IMAGE, "num_frames": 2, "num_spatial_layers": 1, "num_temporal_layers": 1,
        "num_auxiliary_layers": 0}),
    "DepthAnything": lambda: _made("DepthAnything", {
        "image_encoder": _made("DINOV2", {**IMAGE, "num_layers": 4, "image_shape": (64, 64, 3)}),
        "reassemble_factors": [4, 2, 1, 0.5], "neck_hidden_dims": [8] * 4, "fusion_hidden_dim": 8,
        "head_hidden_dim": 8, "head_in_index": -1, "feature_keys": ["stage1", "stage2", "stage3",
                                                                   "stage4"]}),
    "PARSeq": lambda: _made("PARSeq", {
        "image_encoder": _vit(), "vocabulary_size": 20, "max_label_length": 8,
        "decoder_hidden_dim": 8, "num_decoder_layers": 1, "num_decoder_heads": 2,
        "decoder_mlp_dim": 16}),
    "T5Gemma": lambda: _made("T5Gemma", GEMMAS, sliding_window=4),
    "T5Gemma2": lambda: _made("T5Gemma2", GEMMAS, sliding_window=4),
    "Gemma3": lambda: _gemma("Gemma3"),
    "Gemma4": lambda: _gemma("Gemma4"),
    "PaliGemma": lambda: _made("PaliGemma", {
        **TEXT, "image_size": 16, "vit_patch_size": 8, "vit_num_heads": 2, "vit_hidden_dim": 8,
        "vit_num_layers": 1, "vit_intermediate_dim": 16, "num_key_value_heads": 1}),
}  # fmt: skip


#: Families that surgery refuses, and the reason it gives.
REFUSED = dict.fromkeys(
    ("Llama", "Llama3", "Qwen3", "SwinTransformer", "T5Gemma", "T5Gemma2"),
    r"cannot be rebuilt from its own configuration|rebuilt from its own configuration has other",
)

#: Families with layers that Keras cannot load from a file after surgery has opened the others.
NOT_LOADED = {"DebertaV3", "RWKV7", "ViT", "PARSeq"}

#: Tasks that are not built without a tokenizer or another model.
_NEEDY = {"PARSeqCausalLM", "Gemma4AssistantCausalLM", "DepthAnythingDepthEstimator"}


def tasks(name: str, backbone: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield each task that KerasHub has for a family, built around `backbone`."""
    import keras_hub

    for key in sorted(dir(keras_hub.models)):
        task = getattr(keras_hub.models, key)
        if key in _NEEDY or not (inspect.isclass(task) and issubclass(task, keras_hub.models.Task)):
            continue
        if getattr(task, "backbone_cls", None) is type(backbone):
            takes = inspect.signature(task.__init__).parameters
            offered = {"num_classes": 3, "preprocessor": None, "dropout": 0.1, "pooling": "avg"}
            chosen = {k: v for k, v in offered.items() if k in takes and k != "pooling"}
            if "pooling" in takes and "Image" in key:
                chosen["pooling"] = "avg"
            yield key, lambda task=task, chosen=chosen: task(backbone=backbone, **chosen)


def table() -> str:
    """Return the table of what surgery reaches in each family, from a run over all of them."""
    from ablate.errors import AblateError
    from ablate.surgery import insert, trace
    from ablate.surgery.hosts import all_hosts

    lines = [
        "| family | layers reached | conv, dense | normalizations | stays whole | surgery |",
        "|---|---|---|---|---|---|",
    ]
    for name, build in FAMILIES.items():
        backbone = build()
        found = trace(backbone)
        kinds = [host.kind for host in all_hosts(found.model)]
        whole = ", ".join(sorted({each.layer_class for each in found.closed})) or "–"
        try:
            insert(backbone, "Dropout", rate=0.1, where="all")
            said = "yes; no file of it loads" if name in NOT_LOADED else "yes"
        except AblateError as trouble:
            said = "refused: " + str(trouble).split(", which")[0].split(". Expected")[0]
        hidden = kinds.count("conv") + kinds.count("dense")
        lines.append(
            f"| {name} | {len(kinds)} | {hidden} | {kinds.count('norm')} | {whole} | {said} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    import warnings
    from pathlib import Path

    warnings.simplefilter("ignore")
    keras.utils.set_random_seed(0)
    place = Path("docs/models.md")
    before, _, after = place.read_text().partition("<!-- families -->\n")
    _, _, after = after.partition("<!-- end of families -->\n")
    place.write_text(
        f"{before}<!-- families -->\n{table()}\n<!-- end of families -->\n{after}",
        encoding="utf-8",
    )
