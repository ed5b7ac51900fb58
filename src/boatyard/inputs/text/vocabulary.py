"""What kinds of tokens a vocabulary has."""

from tokenizers import Tokenizer


def ids_of_unknown(tokenizer: Tokenizer) -> set[int]:
    """What stands for a piece that the vocabulary does not have."""
    return {id_ for id_ in map(tokenizer.token_to_id, ("[UNK]", "<unk>")) if id_ is not None}


def ids_of_pieces(tokenizer: Tokenizer) -> set[int]:
    """What goes on with a word: WordPiece marks these, other vocabularies mark what begins one."""
    vocabulary = tokenizer.get_vocab()
    if any(token.startswith("##") for token in vocabulary):
        return {id_ for token, id_ in vocabulary.items() if token.startswith("##")}
    begins = ("\u0120", "\u2581")
    if any(token.startswith(begins) for token in vocabulary):
        return {id_ for token, id_ in vocabulary.items() if not token.startswith(begins)}
    return set()
