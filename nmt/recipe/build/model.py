"""The model that a recipe describes."""

from nmt.cells import find_cell
from nmt.cells.cell import Cell
from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.model.attention import ATTENTIONS, Attention, NoAttention
from nmt.model.bridge import BRIDGES, Bridge
from nmt.model.decoder import Decoder
from nmt.model.settings import DecoderStackSettings
from nmt.model.embedding import Embedding, LineEmbedding
from nmt.model.encoder import Encoder, NoEncoder
from nmt.model.settings import EncoderSettings
from nmt.model.translator import Translator
from nmt.recipe.schema import TranslationRecipe, LanguageModelRecipe
from nmt.recurrence.engine import Engine
from nmt.recurrence.layer import Layer, Stack, StackSettings, make_cells


def build_translator(recipe: TranslationRecipe, source_pieces: int, target_pieces: int) -> Translator:
    """The model that a recipe describes, with fresh weights, for vocabularies of the given sizes."""
    encoder = Encoder(
        _embedding(recipe.encoder, source_pieces),
        _encoder_stack(recipe.encoder, recipe.engine),
        dropout=recipe.encoder.dropout.output,
    )
    decoder = _decoder(recipe, encoder, target_pieces)
    return Translator(encoder, decoder, pad=PAD)


def build_language_model(recipe: LanguageModelRecipe, pieces: int) -> Translator:
    """The language model that a recipe describes, with fresh weights: a translator's decoder alone."""
    side, drop = recipe.decoder, recipe.decoder.dropout
    cells = _cells(side, [side.embedding, *[side.hidden] * (side.layers - 1)])
    embedding = LineEmbedding(
        pieces,
        side.embedding,
        pad=PAD,
        bos=BOS,
        eos=EOS,
        dropout=drop.embedding,
        word_dropout=drop.word,
    )
    decoder = Decoder(
        embedding,
        _decoder_stack(side, cells, recipe.engine),
        NoAttention(0, side.hidden, side.hidden, 1),
        Bridge([], 0, cells),
        features=side.features or side.embedding,
        input_feeding=False,
        conditional=None,
        dropout=drop.output,
        tied=side.tie != "none",
        recompute=recipe.training.recompute,
    )
    return Translator(NoEncoder(), decoder, pad=PAD)


def _embedding(side: EncoderSettings | DecoderStackSettings, pieces: int) -> Embedding:
    drop = side.dropout
    return Embedding(pieces, side.embedding, pad=PAD, dropout=drop.embedding, word_dropout=drop.word)


def _cells(side: StackSettings, sizes: list[int]) -> list[Cell]:
    """One cell per layer, reading inputs of the given sizes."""
    names = [side.cell] * side.layers if isinstance(side.cell, str) else side.cell
    classes = [find_cell(name) for name in names]
    return make_cells(
        classes[: len(sizes)], sizes, side.hidden, layer_norm=side.layer_norm, gate_bias=side.gate_bias
    )


def _layer(side: EncoderSettings | DecoderStackSettings, cells: list[Cell], engine: Engine) -> Layer:
    drop = side.dropout
    return Layer(
        cells, input_dropout=drop.input, state_dropout=drop.state, zoneout=drop.zoneout, engine=engine
    )


def _encoder_stack(encoder: EncoderSettings, engine: Engine) -> Stack:
    """The encoder's layers, of one or two directions each."""
    last_two_way = {"all": encoder.layers, "first": 1, "none": 0}[encoder.bidirectional]
    directions = [2 if layer < last_two_way else 1 for layer in range(encoder.layers)]
    sizes = [encoder.embedding, *[encoder.hidden * count for count in directions[:-1]]]
    by_direction = zip(_cells(encoder, sizes), _cells(encoder, sizes), strict=True)
    layers = [
        _layer(encoder, list(cells[:count]), engine)
        for cells, count in zip(by_direction, directions, strict=True)
    ]
    return Stack(layers, residual_from=encoder.residual_from, dropout=encoder.dropout.layers)


def _decoder_stack(decoder: DecoderStackSettings, cells: list[Cell], engine: Engine) -> Stack:
    layers = [_layer(decoder, [cell], engine) for cell in cells]
    return Stack(layers, residual_from=decoder.residual_from, dropout=decoder.dropout.layers)


def _decoder(recipe: TranslationRecipe, encoder: Encoder, pieces: int) -> Decoder:
    """The decoder, made to measure for an encoder."""
    decoder = recipe.decoder
    memory = encoder.stack.output_size
    embedding = _embedding(decoder, pieces)
    if decoder.tie == "all":
        embedding.weight = encoder.embedding.weight
    features = decoder.features or decoder.embedding
    first = decoder.embedding + (features if decoder.input_feeding else 0)
    cells = _cells(decoder, [first, *[decoder.hidden] * (decoder.layers - 1)])
    attention: Attention = ATTENTIONS[decoder.attention](
        memory, decoder.hidden, decoder.attention_size or decoder.hidden, decoder.heads
    )
    finals = [layer.output_size for layer in encoder.stack.layers]
    return Decoder(
        embedding,
        _decoder_stack(decoder, cells, recipe.engine),
        attention,
        BRIDGES[decoder.bridge](finals, memory, cells),
        features=features,
        input_feeding=decoder.input_feeding,
        conditional=_cells(decoder, [attention.context_size])[0] if decoder.conditional else None,
        dropout=decoder.dropout.output,
        tied=decoder.tie != "none",
        recompute=recipe.training.recompute,
    )
