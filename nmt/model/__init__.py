"""The translator: embeddings, encoder, attention, bridge and decoder, made of recurrent layers."""
