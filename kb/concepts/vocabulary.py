"""The closed lists of types, areas and relations: the same names in the YAML, in SQL, in Python and in `--json`."""

from __future__ import annotations

from typing import NamedTuple

from kb.language.text import Bilingual

TYPES: dict[str, Bilingual] = {
    "model": Bilingual("model", "模型"),
    "component": Bilingual("component", "组件"),
    "technique": Bilingual("technique", "技术"),
    "optimizer": Bilingual("optimizer", "优化器"),
    "loss": Bilingual("loss", "损失函数"),
    "metric": Bilingual("metric", "指标"),
    "paradigm": Bilingual("paradigm", "学习范式"),
    "task": Bilingual("task", "任务"),
    "application": Bilingual("application", "应用"),
    "framework": Bilingual("framework", "框架"),
    "hardware": Bilingual("hardware", "硬件"),
    "resource": Bilingual("resource", "学习资源"),
    "problem": Bilingual("problem", "问题"),
    "concept": Bilingual("concept", "概念"),
}

AREAS: dict[str, Bilingual] = {
    "foundations": Bilingual("foundations", "基础"),
    "learning": Bilingual("learning paradigms", "学习范式"),
    "optimization": Bilingual("optimization", "优化"),
    "regularization": Bilingual("regularization", "正则化"),
    "architecture": Bilingual("architecture", "网络结构"),
    "vision": Bilingual("computer vision", "计算机视觉"),
    "language": Bilingual("natural language", "自然语言"),
    "agents": Bilingual("agents", "智能体"),
    "speech": Bilingual("speech and audio", "语音与音频"),
    "sequence": Bilingual("sequences", "序列"),
    "generative": Bilingual("generative models", "生成模型"),
    "reinforcement": Bilingual("reinforcement learning", "强化学习"),
    "graph": Bilingual("graphs", "图"),
    "tabular": Bilingual("tabular data", "表格数据"),
    "recommender": Bilingual("recommendation", "推荐"),
    "multimodal": Bilingual("multimodal", "多模态"),
    "systems": Bilingual("systems", "系统"),
    "deployment": Bilingual("deployment", "部署"),
    "data": Bilingual("data", "数据"),
    "evaluation": Bilingual("evaluation", "评估"),
    "trust": Bilingual("trust and safety", "可信与安全"),
    "hardware": Bilingual("hardware", "硬件"),
    "frameworks": Bilingual("frameworks", "框架"),
}


class Relation(NamedTuple):
    """A link's wording: `X <says> Y`, and from Y, `Y <inverse says> X`; one that goes both ways has one wording."""

    says: Bilingual
    inverse: str
    inverse_says: Bilingual | None = None


RELATIONS: dict[str, Relation] = {
    "is_a": Relation(Bilingual("is a kind of", "属于"), "has_kind", Bilingual("kinds", "包括")),
    "part_of": Relation(Bilingual("is part of", "用于组成"), "has_part", Bilingual("parts", "组成部分")),
    "variant_of": Relation(Bilingual("is a variant of", "变体自"), "has_variant", Bilingual("variants", "变体")),
    "uses": Relation(Bilingual("uses", "使用"), "used_by", Bilingual("used by", "被用于")),
    # cards show all that is to be learnt before instead, see LEARN_FIRST
    "prerequisite": Relation(Bilingual("needs first", "先修"), "leads_to", Bilingual("leads on to", "学完可学")),
    "mitigates": Relation(Bilingual("mitigates", "缓解"), "mitigated_by", Bilingual("mitigated by", "缓解方法")),
    "causes": Relation(Bilingual("causes", "导致"), "caused_by", Bilingual("caused by", "成因")),
    "improves": Relation(Bilingual("improves", "改进"), "improved_by", Bilingual("improved by", "改进方法")),
    "reduces": Relation(Bilingual("reduces", "减少"), "reduced_by", Bilingual("reduced by", "减少方法")),
    "applied_to": Relation(Bilingual("is applied to", "应用于"), "served_by", Bilingual("served by", "常用方法")),
    "trained_by": Relation(Bilingual("is trained by", "训练方法"), "trains", Bilingual("trains", "用于训练")),
    "evaluated_by": Relation(Bilingual("is evaluated by", "评估指标"), "evaluates", Bilingual("evaluates", "用于评估")),
    "alternative_to": Relation(Bilingual("is an alternative to", "可替代"), "alternative_to"),
    "contrasts_with": Relation(Bilingual("contrasts with", "对比"), "contrasts_with"),
    "example_of": Relation(Bilingual("is an example of", "归入"), "has_example", Bilingual("examples", "实例")),
    "implemented_in": Relation(
        Bilingual("is implemented in", "实现于"), "implements", Bilingual("implements", "提供实现")
    ),
    "mentions": Relation(Bilingual("mentions", "提及"), "mentioned_in", Bilingual("mentioned in", "被提及")),
}
"""`mentions` is never written: it is derived from the `[[links]]` in the text."""
LABELS = {relation.inverse: relation.inverse_says for relation in RELATIONS.values() if relation.inverse_says} | {
    name: relation.says for name, relation in RELATIONS.items()
}
"""What a relation is called, in either direction: on cards, in lists of neighbours, in notes."""
LEARN_FIRST, HELPS, LEADS_TO = Bilingual("before", "先学"), Bilingual("helps", "有助理解"), Bilingual("next", "再学")
"""What a card calls all that is to be learnt before a concept, what only helps, and what it is learnt for."""
PARTS: dict[str, Bilingual] = {
    "idea": Bilingual("idea", "直觉"),
    "example": Bilingual("example", "例子"),
    "code": Bilingual("code", "代码"),
    "how": Bilingual("how", "做法"),
    "use": Bilingual("use", "适用"),
    "avoid": Bilingual("avoid", "慎用"),
    "cost": Bilingual("cost", "代价"),
    "mind": Bilingual("mind", "当心"),
    "belief": Bilingual("believed", "误解"),
    "fact": Bilingual("in fact", "事实"),
    "measured": Bilingual("measured", "实测"),
}
"""What the parts of an entry are called where they are shown."""
LABELLED = ("how", "use", "avoid", "cost", "mind")
"""The parts that stand in labelled lines."""
PROSE = ("summary", "idea", *LABELLED, "demo_shows")

CONTROL = Bilingual("control", "对照")
USUALLY = Bilingual("usually", "通常为")
"""Before the default of a symbol."""
WRITTEN_RELATIONS = tuple(name for name in RELATIONS if name != "mentions")
WITH_REASON = ("prerequisite", "mitigates", "causes", "contrasts_with")
"""Relations whose links say why, in one clause."""
ACYCLIC = ("is_a", "part_of", "prerequisite")
SYMMETRIC = ("alternative_to", "contrasts_with")
ALIAS_STATUS: dict[str, Bilingual] = {
    "misnomer": Bilingual("misnomer", "不规范说法"),
    "deprecated": Bilingual("older term", "旧称"),
    "narrower": Bilingual("narrower term", "下位说法"),
}
