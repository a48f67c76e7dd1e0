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
        "max_position_embeddings": 12, "partial_rotary_factor": 1.0}  # fmt: skip
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
    "Mistral", "Mixtral", "Moonshine", "OPT", "Phi3", "Qwen2", "Qwen3", "Qwen3Moe", "Qwen3_5",
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
        "layerwise_depths": [1, 1], "num_layers": 2, "layerwise_num_heads": [1, 2],
        "layerwise_sr_ratios": [2, 1], "max_drop_path_rate": 0.1, "layerwise_patch_sizes": [7, 3],
        "layerwise_strides": [4, 2], "image_shape": (32, 32, 3),
        "hidden_dims": [8, 8]})  # fmt: skip


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
    "CSPNet": lambda: _made("CSPNet", {
        "stem_filters": 8, "stem_kernel_size": 3, "stem_strides": 2, "stackwise_depth": [1, 1],
        "stackwise_strides": [1, 2], "stackwise_num_filters": [8, 16], "block_type": "dark_block",
        "image_shape": (32, 32, 3)}),
    "EfficientNet": lambda: _made("EfficientNet", {
        "stackwise_kernel_sizes": [3, 3], "stackwise_num_repeats": [1, 2],
        "stackwise_input_filters": [8, 8], "stackwise_output_filters": [8, 16],
        "stackwise_expansion_ratios": [1, 2], "stackwise_strides": [1, 2],
        "stackwise_squeeze_and_excite_ratios": [0.25, 0.25],
        "stackwise_block_types": ["v1", "v1"], "image_shape": (32, 32, 3), "width_coefficient": 1.0,
        "depth_coefficient": 1.0, "min_depth": 8}),
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
        "image_encoder": _resnet(), "low_level_feature_key": "P2", "upsampling_size": 8,
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
    "BASNet": lambda: _made("BASNet", {
        "image_encoder": _resnet(stackwise_num_filters=[64, 64, 64, 64],
                                 stackwise_num_blocks=[2] * 4, stackwise_num_strides=[1, 2, 2, 2],
                                 image_shape=(64, 64, 3)),
        "num_classes": 1, "image_shape": (64, 64, 3), "projection_filters": 8}),
    "DepthAnything": lambda: _made("DepthAnything", {
        "image_encoder": _made("DINOV2", {**IMAGE, "num_layers": 4, "image_shape": (32, 32, 3)}),
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


def tasks(name: str, backbone: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield each task that KerasHub has for a family, built around `backbone`."""
    import keras_hub

    for key in sorted(dir(keras_hub.models)):
        task = getattr(keras_hub.models, key)
        if not (inspect.isclass(task) and issubclass(task, keras_hub.models.Task)):
            continue
        if getattr(task, "backbone_cls", None) is type(backbone):
            takes = inspect.signature(task.__init__).parameters
            offered = {"num_classes": 3, "preprocessor": None, "dropout": 0.1, "pooling": "avg"}
            chosen = {k: v for k, v in offered.items() if k in takes and k != "pooling"}
            if "pooling" in takes and "Image" in key:
                chosen["pooling"] = "avg"
            yield key, lambda task=task, chosen=chosen: task(backbone=backbone, **chosen)
