"""Common names of columns, in several languages."""

import unicodedata
from enum import IntEnum

import regex


def _words(name: str) -> list[str]:
    """Return the words of a name, without case, accents and signs. The marks of Indic scripts are letters to regex."""
    parted = regex.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)  # reviewText
    letters = unicodedata.normalize("NFKD", parted.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return [word for word in regex.split(r"[\W_]+", unicodedata.normalize("NFKC", plain)) if word]


def _names(words: str) -> frozenset[str]:
    return frozenset("".join(_words(word)) for word in words.split())


TEXT = _names("""
text texts review reviews comment comments body content contents sentence sentences message document article abstract
description utterance tweet post posting query question complaint feedback transcript
kommentar nachricht inhalt satz beschreibung rezension anfrage texte commentaire avis contenu phrase texto comentario
mensaje mensagem resena contenido conteudo oracion testo commento recensione messaggio contenuto tekst bericht reactie
tresc wiadomosc komentarz meddelande kommentti teksti metin yorum текст отзыв сообщение комментарий 文本 内容 评论 句子
正文 テキスト 本文 レビュー 文章 텍스트 내용 리뷰 نص टेक्स्ट
""")
LABEL = _names("""
label labels class classes category categories topic topics target sentiment intent emotion genre tag outcome
klasse kategorie thema stimmung absicht etikett classe categorie theme sujet etiquette clase categoria tema etiqueta
sentimiento sentimento argomento etichetta rotulo onderwerp categorie klasa kategoria temat luokka kategori konu etiket
метка класс категория тема 标签 类别 分类 主题 ラベル カテゴリ 分類 라벨 분류 카테고리 لیبل वर्ग
""")
# Few values that recur, but hardly ever what a classifier should predict.
BESIDE = _names("""
language lang locale country region city state source channel author user username name split fold partition set
year month day weekday date time gender device platform version currency annotator rater id index
sprache land quelle autor datum jahr monat langue pays auteur annee idioma pais autore anno lingua paese язык страна
""")


class Standing(IntEnum):
    """How well a column's name is one of a list of names."""

    NONE = 0
    PART = 1  # one of its words is: ``review_text``, ``label_id``
    WHOLE = 2


def standing(name: str, names: frozenset[str]) -> Standing:
    """Compare a column's name with ``names``, without regard to case, accents and signs."""
    words = _words(name)
    if "".join(words) in names:
        return Standing.WHOLE
    return Standing.PART if names.intersection(words) else Standing.NONE
