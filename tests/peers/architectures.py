"""Logits and gradients of HuggingFace's models, against those in a reference file, for tests/peers/architectures.test.ts.

Arguments: safetensors files, each with `ids` and `targets` [B, T], `weight.*`, `expected.logits`, `expected.gradient.*` and, where
rows are packed, `documentStart` [B, T]; its metadata `settings` names the layout and holds our config. Writes to stdout for
each file {name: largest absolute difference / largest magnitude in transformers}.
With --sizes: {layout: number of weights} of transformers' models for {layout: our config} in stdin, without their values.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers

sys.path.append(str(Path(__file__).parent.parent / "bench" / "peers"))
from worker import Reference, read_safetensors

CLASSES = {
    "mixtral": (transformers.MixtralConfig, transformers.MixtralForCausalLM),
    "qwen2Moe": (transformers.Qwen2MoeConfig, transformers.Qwen2MoeForCausalLM),
    "olmoe": (transformers.OlmoeConfig, transformers.OlmoeForCausalLM),
    "qwen3Moe": (transformers.Qwen3MoeConfig, transformers.Qwen3MoeForCausalLM),
}
OUTER = {"embedding": "model.embed_tokens.weight", "finalNorm": "model.norm.weight", "head": "lm_head.weight"}
INNER = {
    "attentionNorm": "input_layernorm.weight",
    "moeNorm": "post_attention_layernorm.weight",
    "feedForwardNorm": "post_attention_layernorm.weight",
    "attention.query": "self_attn.q_proj.weight",
    "attention.key": "self_attn.k_proj.weight",
    "attention.value": "self_attn.v_proj.weight",
    "attention.output": "self_attn.o_proj.weight",
    "attention.queryBias": "self_attn.q_proj.bias",
    "attention.keyBias": "self_attn.k_proj.bias",
    "attention.valueBias": "self_attn.v_proj.bias",
    "attention.queryNorm": "self_attn.q_norm.weight",
    "attention.keyNorm": "self_attn.k_norm.weight",
    "moe.router.gate": "mlp.gate.weight",
    "moe.experts.gateUp": "mlp.experts.gate_up_proj",
    "moe.experts.down": "mlp.experts.down_proj",
    "moe.sharedExperts.down": "mlp.shared_expert.down_proj.weight",
    "moe.sharedExperts.gate": "mlp.shared_expert_gate.weight",
    "feedForward.down": "mlp.down_proj.weight",
}
GATE_AND_UP = {"feedForward.gateUp": "mlp", "moe.sharedExperts.gateUp": "mlp.shared_expert"}
"""Side by side with us, two matrices with them."""


def common_settings(config: dict, attention: str) -> dict:
    moe = config["moe"]
    return {
        "vocab_size": config["vocabSize"],
        "hidden_size": config["width"],
        "num_hidden_layers": config["numLayers"],
        "num_attention_heads": config["numHeads"],
        "num_key_value_heads": config["numKeyValueHeads"],
        "max_position_embeddings": config["contextLength"],
        "rope_parameters": {"rope_type": "default", "rope_theta": config["ropeBase"]},
        "rms_norm_eps": config["normEpsilon"],
        "tie_word_embeddings": config["tiedEmbeddings"],
        "num_experts_per_tok": moe["expertsPerToken"],
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": None,  # a padding token would get no gradient
        "attn_implementation": attention,
        "experts_implementation": "eager",
    }


def layout_settings(layout: str, config: dict) -> dict:
    moe = config["moe"]
    E, H = moe["numExperts"], moe["expertWidth"]
    renormalize = {"norm_topk_prob": moe["router"]["renormalize"]}
    if layout == "mixtral":
        return {"num_local_experts": E, "intermediate_size": H, "head_dim": config["headSize"], "sliding_window": config.get("slidingWindow")}
    if layout == "olmoe":
        return {"num_experts": E, "intermediate_size": H, **renormalize}
    sparse = {"num_experts": E, "moe_intermediate_size": H, "head_dim": config["headSize"], "decoder_sparse_step": config["moeEvery"]}
    if layout == "qwen2Moe":
        shared = moe["sharedExperts"]["count"] * moe["sharedExperts"].get("width", H)
        sparse = {**sparse, "shared_expert_intermediate_size": shared, "qkv_bias": config["attentionBias"]}
        del sparse["head_dim"]
    dense = {"intermediate_size": config["denseWidth"], "mlp_only_layers": list(range(config["firstDenseLayers"]))}
    biases = {"attention_bias": config["attentionBias"]} if layout == "qwen3Moe" else {}
    return {**sparse, **dense, **renormalize, **biases}


def their_names(name: str) -> list[str]:
    """Names of the weight in transformers; two where gate and up projection are apart."""
    if name in OUTER:
        return [OUTER[name]]
    _, layer, inner = name.split(".", 2)
    if inner in GATE_AND_UP:
        return [f"model.layers.{layer}.{GATE_AND_UP[inner]}.{part}_proj.weight" for part in ("gate", "up")]
    return [f"model.layers.{layer}.{INNER[inner]}"]


def to_theirs(name: str, ours: torch.Tensor) -> list[torch.Tensor]:
    """Products are x @ W with us and x @ W.T with them; the embedding has the same form."""
    theirs = ours if name == "embedding" or ours.dim() == 1 else ours.transpose(-1, -2)
    return list(theirs.chunk(len(their_names(name)))) if len(their_names(name)) > 1 else [theirs]


def mask_of(reference: Reference) -> torch.Tensor | None:
    """What each query sees, as scores to add [B, 1, T, T]: keys of its document, within the window, up to itself."""
    arrays, (B, T) = reference.arrays, reference.arrays["ids"].shape
    if not reference.settings["explicitMask"]:
        return None
    query, key = torch.arange(T)[:, None], torch.arange(T)[None, :]
    seen = (key <= query).expand(B, T, T)
    if "documentStart" in arrays:
        seen = seen & (key >= torch.from_numpy(arrays["documentStart"])[:, :, None])
    if reference.settings["config"].get("slidingWindow"):
        seen = seen & (query - key < reference.settings["config"]["slidingWindow"])
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[:, None]


def distance(theirs: torch.Tensor, ours: torch.Tensor) -> float:
    if theirs.shape != ours.shape or theirs.abs().max() == 0:
        return float("inf")
    return float((theirs - ours).abs().max() / theirs.abs().max())


def model_for(layout: str, config: dict, attention: str) -> torch.nn.Module:
    config_class, model_class = CLASSES[layout]
    return model_class(config_class(**common_settings(config, attention), **layout_settings(layout, config)))


def compare(reference: Reference) -> dict[str, float]:
    settings, arrays = reference.settings, {name: torch.from_numpy(array) for name, array in reference.arrays.items()}
    model = model_for(settings["layout"], settings["config"], settings["attention"]).float()
    parameters = dict(model.named_parameters())
    names = [name[len("weight.") :] for name in arrays if name.startswith("weight.")]
    taken = set()
    with torch.no_grad():
        for name in names:
            for theirs, ours in zip(their_names(name), to_theirs(name, arrays[f"weight.{name}"])):
                parameters[theirs].copy_(ours)
                taken.add(theirs)
        for name in parameters.keys() - taken:
            if not name.endswith("o_proj.bias"):
                raise ValueError(f"{name} has no weight of ours")
            parameters[name].zero_()
    logits = model(input_ids=arrays["ids"].long(), attention_mask=mask_of(reference), use_cache=False).logits
    F.cross_entropy(logits.flatten(0, 1), arrays["targets"].long().flatten()).backward()
    distances = {"logits": distance(logits.detach().flatten(0, 1), arrays["expected.logits"])}
    for name in names:
        theirs = torch.cat([parameters[part].grad for part in their_names(name)])
        ours = torch.cat(to_theirs(name, arrays[f"expected.gradient.{name}"]))
        distances[name] = distance(theirs, ours)
    return distances


def sizes(configs: dict[str, dict]) -> dict[str, int]:
    with torch.device("meta"):
        models = {layout: model_for(layout, config, "eager") for layout, config in configs.items()}
    return {layout: sum(parameter.numel() for parameter in model.parameters()) for layout, model in models.items()}


if sys.argv[1] == "--sizes":
    print(json.dumps(sizes(json.load(sys.stdin))))
else:
    torch.manual_seed(0)
    print(json.dumps([compare(read_safetensors(path)) for path in sys.argv[1:]]))
