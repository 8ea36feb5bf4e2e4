"""The sentences about files: those of the configuration, their YAML, and those that they name.

Rows as in `messages.py`, which puts all of them together.
"""

from collections.abc import Mapping
from typing import Literal

Row = Mapping[Literal["ja", "en"], tuple[str, str]]


def row(en: tuple[str, str], ja: tuple[str, str]) -> Row:
    """(what is expected, what to do) in English and in Japanese."""
    return {"en": en, "ja": ja}


FILES: Mapping[str, Row] = {
    "directory-missing": row(
        ("a configuration directory here", "Check the path; configs/reference shows what belongs in it."),
        ("ここに設定ディレクトリ", "パスを確認してください。中身の例は configs/reference にあります。"),
    ),
    "directory-unreadable": row(
        ("a directory that the gateway may list", "Make it a directory that the gateway's user may read."),
        (
            "ゲートウェイが一覧できるディレクトリ",
            "ゲートウェイを動かす利用者が読めるディレクトリにしてください。",
        ),
    ),
    "file-missing": row(
        ("this file", "Create it; configs/reference has one with every key explained."),
        ("このファイル", "作成してください。configs/reference に全項目の説明付きの例があります。"),
    ),
    "file-not-a-file": row(
        ("an ordinary file", "Something else has this name; rename or remove it."),
        ("通常のファイル", "同じ名前の別のものがあります。名前を変えるか取り除いてください。"),
    ),
    "file-unreadable": row(
        ("a file that the gateway may read", "Give the user that runs the gateway the right to read it."),
        ("ゲートウェイが読めるファイル", "ゲートウェイを動かす利用者に読み取り権限を与えてください。"),
    ),
    "file-too-large": row(
        ("at most {limit}", "Split the file, or check that it is the right one."),
        ("{limit}以下のファイル", "分割するか、正しいファイルかどうか確認してください。"),
    ),
    "file-not-utf8": row(
        ("text in UTF-8", "Save the file as UTF-8 (not Shift_JIS or UTF-16)."),
        ("UTF-8 の文字", "Shift_JIS や UTF-16 ではなく UTF-8 で保存してください。"),
    ),
    "file-empty": row(
        ("keys and values", "The file is empty; fill it in or remove it."),
        ("項目と値", "ファイルが空です。記入するか、ファイルを取り除いてください。"),
    ),
    "file-not-mapping": row(
        ("lines of the form `key: value`", "Begin the file with a key, a colon and a space."),
        ("`項目: 値` の形の行", "項目名、半角コロン、半角空白で書き始めてください。"),
    ),
    "file-wide-colon": row(
        (
            "lines of the form `key: value`",
            "Replace the full-width colon \uff1a by a half-width colon and a space.",
        ),
        ("`項目: 値` の形の行", "全角コロン「\uff1a」を半角コロンと半角空白に直してください。"),
    ),
    "file-unknown": row(
        (
            "only files that the gateway knows",
            "Nothing reads this file; rename it ({known}) or move it away.",
        ),
        (
            "ゲートウェイが知っているファイル名",
            "このファイルは読まれません。名前を直す（{known}）か、移動してください。",
        ),
    ),
    "file-suffix": row(
        ("a name that ends in .yaml", "The file would not be read; rename it so that it ends in .yaml."),
        (".yaml で終わるファイル名", "このままでは読まれません。.yaml で終わる名前に変えてください。"),
    ),
    "too-many-files": row(
        ("at most {limit} files", "Check that this is the right directory."),
        ("{limit}個以下のファイル", "正しいディレクトリかどうか確認してください。"),
    ),
}

YAML: Mapping[str, Row] = {
    "yaml-tab": row(
        ("spaces, not tabs", "Replace the tab by spaces (two for each step)."),
        ("タブではなく半角空白", "タブを半角空白（1段につき2つ）に置き換えてください。"),
    ),
    "yaml-wide-space": row(
        ("half-width spaces", "Replace the full-width space (U+3000) by half-width spaces."),
        ("半角の空白", "全角の空白があります。半角の空白に置き換えてください。"),
    ),
    "yaml-dash": row(
        ("a space after the dash", "Write `- value`, with a half-width space after the dash."),
        ("`-` の後に半角空白", "`- 値` のように、`-` の後に半角空白を1つ入れて書いてください。"),
    ),
    "yaml-colon": row(
        (
            "one `key: value` on this line",
            "Put a text that contains a colon in quotes, or check the indentation.",
        ),
        ("この行に1組の `項目: 値`", "コロンを含む文字は引用符で囲み、字下げも確認してください。"),
    ),
    "yaml-no-colon": row(
        ("a colon and a space after the key", "Write `key: value`, with a half-width colon and a half-width space."),
        ("項目名の後に半角コロンと半角空白", "`項目: 値` の形で書いてください（コロンと空白は半角）。"),
    ),
    "yaml-quote": row(
        ("a closing quotation mark", "Close the quotation that begins here, on the same line."),
        ("閉じる引用符", "ここで始まる引用符を、同じ行で閉じてください。"),
    ),
    "yaml-escape": row(
        ("a known escape after the backslash", "Use single quotes, or write the backslash twice."),
        ("バックスラッシュの後に正しい記号", "単一引用符を使うか、バックスラッシュを2つ書いてください。"),
    ),
    "yaml-alias": row(
        ("an anchor (&name) written once, before its use (*name)", "Quote a text that begins with * or &."),
        ("使う（*名前）前に1度だけ書いたアンカー（&名前）", "* や & で始まる文字は引用符で囲んでください。"),
    ),
    "yaml-bracket": row(
        ("a comma or a closing bracket", "Close the bracket, or separate the entries by commas."),
        ("コンマまたは閉じ括弧", "括弧を閉じるか、要素をコンマで区切ってください。"),
    ),
    "yaml-indent": row(
        (
            "the same indentation as the lines it belongs to",
            "Align this line with its neighbours, using spaces.",
        ),
        ("同じ階層の行とそろった字下げ", "半角空白を使って前後の行とそろえてください。"),
    ),
    "yaml-documents": row(
        ("one document", "Remove the line `---` in the middle of the file."),
        ("1つの文書", "ファイルの途中にある `---` の行を取り除いてください。"),
    ),
    "yaml-character": row(
        ("a text that begins with a letter or a digit", "Put the text in quotes."),
        ("文字か数字で始まる値", "値を引用符で囲んでください。"),
    ),
    "yaml-control": row(
        ("printable characters only", "Remove the invisible control character on this line."),
        ("表示できる文字だけ", "この行にある見えない制御文字を取り除いてください。"),
    ),
    "yaml-other": row(
        ("YAML", "Compare this line with the file of the same name in configs/reference."),
        ("正しい YAML", "configs/reference の同じファイルと見比べてください。"),
    ),
    "yaml-deep": row(
        ("at most {limit} levels of nesting", "Remove brackets or indentation that is not meant."),
        ("{limit}段以内の入れ子", "余分な括弧や字下げを取り除いてください。"),
    ),
    "yaml-many": row(
        ("at most {limit} values", "Check the aliases (*name): they multiply what they refer to."),
        ("{limit}個以内の値", "エイリアス（*名前）が値を増やしすぎていないか確認してください。"),
    ),
    "yaml-loop": row(
        ("a value that does not contain itself", "Remove the alias (*name)."),
        ("自分自身を含まない値", "エイリアス（*名前）を取り除いてください。"),
    ),
    "yaml-tag": row(
        ("a plain value without a tag", "Remove the tag (the word that begins with !)."),
        ("タグのない普通の値", "タグ（! で始まる語）を取り除いてください。"),
    ),
    "yaml-merge": row(
        ("ordinary keys", "Write the keys out instead of merging them with `<<`."),
        ("普通の項目", "`<<` で取り込まず、項目をそのまま書いてください。"),
    ),
    "key-not-text": row(
        ("a text as key", "Write the key as one word before the colon."),
        ("文字の項目名", "コロンの前に項目名を1語で書いてください。"),
    ),
    "key-unquoted": row(
        ("a text as key", "Put the key in quotes: {key}."),
        ("文字の項目名", "項目名を引用符で囲んでください：{key}。"),
    ),
    "duplicate-key": row(
        ("each key once", "{key} already stands on line {first}; remove one of the two."),
        ("重複のない項目", "{key} は{first}行目にもあります。どちらかを取り除いてください。"),
    ),
}

MATERIAL: Mapping[str, Row] = {
    "material-missing": row(
        ("a file that exists", "Put the file there, or correct the path (relative to {base})."),
        ("存在するファイル", "ファイルを置くか、パス（{base} から）を直してください。"),
    ),
    "material-unreadable": row(
        ("a file that the gateway may read", "Give the user that runs the gateway the right to read it."),
        ("ゲートウェイが読めるファイル", "ゲートウェイを動かす利用者に読み取り権限を与えてください。"),
    ),
    "material-open": row(
        ("a file that others cannot read", "Take the right to read from everybody else: chmod o-rwx."),
        ("他の利用者が読めないファイル", "他の利用者の権限を外してください：chmod o-rwx。"),
    ),
    "material-empty": row(
        ("one line of text in the file", "The file is empty or not text; put the secret into it, alone."),
        ("1行の文字が入ったファイル", "空か、文字ではありません。秘密の値だけを入れてください。"),
    ),
    "certificate": row(
        (
            "an X.509 certificate in PEM",
            "The file must contain `-----BEGIN CERTIFICATE-----`; export it again.",
        ),
        ("PEM 形式の X.509 証明書", "`-----BEGIN CERTIFICATE-----` を含むファイルにしてください。"),
    ),
    "certificate-key": row(
        (
            "a certificate with an RSA (2048 bits or more) or EC P-256/384/521 key",
            "Make a new key and certificate.",
        ),
        ("RSA（2048ビット以上）または EC P-256/384/521 の鍵の証明書", "鍵と証明書を作り直してください。"),
    ),
    "message-key": row(
        (
            "a certificate whose key signs HTTP messages: EC P-256, Ed25519, or RSA of 2048 to 8192 bits",
            "Ask the service for a certificate with such a key; answers signed with this one would all be refused.",
        ),
        (
            "HTTP メッセージに署名する鍵（EC P-256、Ed25519、RSA 2048〜8192ビット）の証明書",
            "サービスに、そのような鍵の証明書を求めてください。この鍵の署名では、返事をすべて断ることになります。",
        ),
    ),
    "certificate-private": row(
        (
            "a certificate alone",
            "The file also holds a private key; take the key out, and replace it if others saw it.",
        ),
        (
            "証明書だけのファイル",
            "秘密鍵が入っています。証明書だけのファイルに取り替え、人に見られたおそれがあれば鍵を作り直してください。",
        ),
    ),
    "public-key": row(
        (
            "a public key in PEM, RSA (2048 bits or more) or EC P-256/384/521",
            "The file must hold one `-----BEGIN PUBLIC KEY-----`; export it again, or use the certificate.",
        ),
        (
            "PEM 形式の公開鍵（RSA 2048ビット以上または EC P-256/384/521）",
            "`-----BEGIN PUBLIC KEY-----` を1つ含むファイルにするか、証明書を使ってください。",
        ),
    ),
    "private-key": row(
        (
            "an unencrypted private key in PEM",
            "The file must contain `-----BEGIN PRIVATE KEY-----`; export it again.",
        ),
        (
            "暗号化されていない PEM 形式の秘密鍵",
            "`-----BEGIN PRIVATE KEY-----` を含むファイルにしてください。",
        ),
    ),
    "key-mismatch": row(
        ("the private key of `certificate`", "Key and certificate do not belong together; use the pair."),
        ("`certificate` に対応する秘密鍵", "鍵と証明書が組になっていません。対のものを使ってください。"),
    ),
    "state-unchecked": row(
        ("a file in the state directory", "Not looked at, because no state directory was given."),
        ("状態ディレクトリのファイル", "状態ディレクトリの指定がないため、確認していません。"),
    ),
    "list-missing": row(
        (
            "a signed list here",
            "It is not there yet; sign it with `kakehashi trust sign`, then it is read by itself.",
        ),
        (
            "ここに署名済みの一覧",
            "まだありません。`kakehashi trust sign` で署名すると、自動で読み込まれます。",
        ),
    ),
}
