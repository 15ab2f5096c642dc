"""A text classifier.

Gaussian noise needs a space: for texts it is the space of the embeddings of the tokens. `sosmooth`
adds the noise there, in front of a Hugging Face model for sequence classification. A radius says:
the class stays the same if the embeddings of *these tokens* move by less than this, all together,
in l2. It says nothing about replaced, added or deleted words: another word has another embedding,
usually far beyond any radius.

Without an argument the script makes a tiny BERT with **random weights**: it shows how the parts fit
together, but its classes mean nothing. Give your own model, best fine-tuned with noise on the
embeddings:

    python examples/text_classifier.py FOLDER_OF_MODEL

The same from the shell, with the texts in a CSV file that has the columns text and label:

    sosmooth certify --model hf:bert --data 'text:reviews.csv?model=bert' --sigma 0.1 --out run

Both need `pip install -c constraints.txt ".[huggingface]"` in the clone.
"""

import sys
import tempfile
from pathlib import Path

from sosmooth import SmoothedClassifier, load_classifier
from sosmooth.datasets import load_dataset
from sosmooth.measures import floored

TEXTS = ["a good film", "a bad film", "not a bad film", "very very good"]


def random_bert(folder: Path) -> None:
    """Write a model and a tokenizer to `folder` as Hugging Face does; nothing is downloaded."""
    import tokenizers
    import torch
    import transformers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "very", "not"]
    torch.manual_seed(0)
    sizes = {
        "vocab_size": len(words),
        "hidden_size": 16,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
    }
    config = transformers.BertConfig(
        num_hidden_layers=1, num_attention_heads=2, num_labels=2, **sizes
    )
    model = transformers.BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.normal_(std=3)
    model.save_pretrained(folder)
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    )
    fast.save_pretrained(folder)


def main(model: Path | None = None, n: int = 1000, sigma: float = 0.01) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            print(
                "The weights are random: the classes below mean nothing. "
                "Give the folder of your own model."
            )
            random_bert(model := Path(folder) / "bert")
        (Path(folder) / "texts.csv").write_text("text\n" + "\n".join(TEXTS) + "\n")
        texts = load_dataset(f"text:{folder}/texts.csv?model={model}&tokens=16")
        classifier = load_classifier(f"hf:{model}")
        smoothed = SmoothedClassifier(classifier, sigma=sigma)
        certificates = smoothed.certify(texts.get(range(len(TEXTS))), n=n)
    for text, certificate in zip(TEXTS, certificates, strict=True):
        print(
            f"{text!r}: class {certificate.prediction} within "
            f"{floored(certificate.radius, 4)} in the space of embeddings"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
