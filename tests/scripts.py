"""Small corpora of three classes in many scripts."""

import random

import numpy as np

# Words of three classes, words of none, and what stands between two words.
CORPORA = {
    "Chinese": ("进球 比分 联赛|面粉 黄油 菜刀|下雨 大风 云层", "我们 可以 时间 没有 因为 这个", ""),
    "Japanese": ("サッカー 選手 優勝|砂糖 バター 鍋|雨 風 嵐", "今日 時間 新しい とても です が の", ""),
    "Thai": ("ฟุตบอล ประตู โค้ช|น้ำตาล เกลือ เนย|ฝน ลม เมฆ", "วันนี้ คน เวลา ใหม่ มาก และ ที่", ""),
    "Khmer": ("បាល់ទាត់ គោលទី|ស្ករ អំបិល|ភ្លៀង ខ្យល់", "ថ្ងៃនេះ មនុស្ស ពេល ថ្មី និង", ""),
    "Hindi": ("खेल गोल कोच|चीनी नमक आटा|बारिश हवा बादल", "आज लोग समय नया बहुत और में की", " "),
    "Arabic": ("كرة هدف لاعب|سكر ملح زبدة|مطر ريح غيم", "اليوم الناس وقت جديد جدا في من", " "),
    "Korean": ("축구 골 감독|설탕 소금 버터|비 바람 구름", "오늘 사람 시간 새로운 매우", " "),
    "digits": ("1 2 3|4 5 6|7 8 9", "0", " "),
    "letters": ("a b c|d e f|g h i", "x y z", " "),
    "signs": ("+ * %|: ; !|( ) ?", ". ,", " "),
    "emoji": ("⚽ 🏆 🥅|🍰 🥐 🍳|🌧️ ⛈️ ❄️", "👍 😀 ❤️", ""),
    "without spaces": ("match goal team|oven butter flour|rain wind cloud", "the people day time very", ""),
    "mixed": ("进球 goal ประตู|面粉 flour เกลือ|下雨 rain ฝน", "我们 time มาก 👍 7", ""),
}


def corpus(name, rows=180, known=4, other=5):
    classes, filler, space = CORPORA[name]
    chance, words = random.Random(0), [part.split() for part in classes.split("|")]
    texts = []
    for row in range(rows):
        made = chance.choices(words[row % 3], k=known) + chance.choices(filler.split(), k=other)
        chance.shuffle(made)
        texts.append(space.join(made))
    return texts, np.arange(rows) % 3
