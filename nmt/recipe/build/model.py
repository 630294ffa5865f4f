"""The model that a recipe describes."""

from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.model.decoder import build_decoder, build_language_model_decoder
from nmt.model.encoder import Encoder, NoEncoder
from nmt.model.translator import Translator
from nmt.recipe.schema import LanguageModelRecipe, TranslationRecipe


def build_translator(recipe: TranslationRecipe, source_size: int, target_size: int) -> Translator:
    """Build the translator of a recipe with initial weights, for vocabularies of the given sizes."""
    encoder = Encoder(recipe.encoder, source_size, pad=PAD, engine=recipe.engine)
    decoder = build_decoder(
        recipe.decoder,
        encoder,
        target_size,
        pad=PAD,
        engine=recipe.engine,
        recompute=recipe.training.recompute,
    )
    return Translator(encoder, decoder, pad=PAD)


def build_language_model(recipe: LanguageModelRecipe, vocabulary_size: int) -> Translator:
    """Build the language model of a recipe with initial weights: a decoder alone."""
    decoder = build_language_model_decoder(
        recipe.decoder,
        vocabulary_size,
        pad=PAD,
        bos=BOS,
        eos=EOS,
        engine=recipe.engine,
        recompute=recipe.training.recompute,
    )
    return Translator(NoEncoder(), decoder, pad=PAD)
