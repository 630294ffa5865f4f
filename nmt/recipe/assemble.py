"""Recipe to components: the only place that knows both."""

from nmt.cells import find_cell
from nmt.cells.cell import Cell
from nmt.data.subwords import PAD
from nmt.model.attention import ATTENTIONS
from nmt.model.bridge import BRIDGES
from nmt.model.decoder import Decoder
from nmt.model.embedding import Embedding
from nmt.model.encoder import Encoder
from nmt.model.translator import Translator
from nmt.recipe import schema
from nmt.recurrence.bound import Engine
from nmt.recurrence.layer import Layer, Stack, make_cells


def translator(recipe: schema.Recipe, source_pieces: int, target_pieces: int) -> Translator:
    """The model that a recipe describes, with fresh weights, for vocabularies of the given sizes."""
    source = encoder_embedding(recipe.encoder, source_pieces)
    encoder = Encoder(source, encoder_stack(recipe.encoder, recipe.engine), dropout=recipe.encoder.dropout.output)
    return Translator(encoder, decoder(recipe, encoder, target_pieces), pad=PAD)


def encoder_embedding(encoder: schema.Encoder, pieces: int) -> Embedding:
    drop = encoder.dropout
    return Embedding(pieces, encoder.embedding, pad=PAD, dropout=drop.embedding, word_dropout=drop.word)


def cell_classes(cell: str | list[str], layers: int) -> list[type[Cell]]:
    """One class per layer."""
    names = [cell] * layers if isinstance(cell, str) else cell
    return [find_cell(name) for name in names]


def encoder_stack(encoder: schema.Encoder, engine: Engine) -> Stack:
    """The encoder's layers, one or two directions each."""
    classes = cell_classes(encoder.cell, encoder.layers)
    both = [encoder.bidirectional == "all" or (encoder.bidirectional == "first" and k == 0) for k in range(len(classes))]
    widths = [encoder.hidden * (2 if two else 1) for two in both]
    sizes = [encoder.embedding, *widths[:-1]]
    settings = {"layer_norm": encoder.layer_norm, "gate_bias": encoder.gate_bias}
    forward = make_cells(classes, sizes, encoder.hidden, **settings)
    backward = make_cells(classes, sizes, encoder.hidden, **settings)
    drop = encoder.dropout
    layers = [
        Layer([a, b] if two else [a], input_dropout=drop.input, state_dropout=drop.state, engine=engine)
        for a, b, two in zip(forward, backward, both, strict=True)
    ]
    return Stack(layers, residual_from=encoder.residual_from, dropout=drop.layers)


def decoder(recipe: schema.Recipe, encoder: Encoder, pieces: int) -> Decoder:
    """The decoder, made to measure for an encoder."""
    settings, drop = recipe.decoder, recipe.decoder.dropout
    if settings.tie == "all":
        embedding = Embedding(pieces, settings.embedding, pad=PAD, dropout=drop.embedding, word_dropout=drop.word)
        embedding.weight = encoder.embedding.weight
    else:
        embedding = Embedding(pieces, settings.embedding, pad=PAD, dropout=drop.embedding, word_dropout=drop.word)
    features = settings.features or settings.embedding
    classes = cell_classes(settings.cell, settings.layers)
    first = settings.embedding + (features if settings.input_feeding else 0)
    cell_settings = {"layer_norm": settings.layer_norm, "gate_bias": settings.gate_bias}
    cells = make_cells(classes, [first, *[settings.hidden] * (len(classes) - 1)], settings.hidden, **cell_settings)
    memory = encoder.stack.output_size
    attention = ATTENTIONS[settings.attention](
        memory, settings.hidden, settings.attention_size or settings.hidden, settings.heads
    )
    conditional = None
    if settings.conditional:
        (conditional,) = make_cells(classes[:1], [attention.context_size], settings.hidden, **cell_settings)
    layers = [
        Layer([cell], input_dropout=drop.input, state_dropout=drop.state, engine=recipe.engine) for cell in cells
    ]
    return Decoder(
        embedding,
        Stack(layers, residual_from=settings.residual_from, dropout=drop.layers),
        attention,
        BRIDGES[settings.bridge]([layer.output_size for layer in encoder.stack.layers], memory, cells),
        features=features,
        input_feeding=settings.input_feeding,
        conditional=conditional,
        dropout=drop.output,
        tied=settings.tie != "none",
    )
