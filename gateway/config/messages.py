"""Every sentence about the configuration, in Japanese and English: one row for each kind of mistake or note.

A row is (what is expected, what to do). The first is a noun phrase: "expected {…}", 「{…}が必要です」.
The second is a whole sentence. `{names}` are filled from the mistake's facts.
"""

from collections.abc import Mapping

from gateway.config.messages_files import FILES, MATERIAL, YAML, Row, row

SEPARATOR: Mapping[str, str] = {
    "en": "expected {expected}{found}. {todo}",
    "ja": "{expected}が必要です{found}。{todo}",
}
FOUND: Mapping[str, str] = {"en": ", found {found}", "ja": "（現在の値：{found}）"}
NOTE: Mapping[str, str] = {"en": "note: ", "ja": "注意: "}


_SHAPES: Mapping[str, Row] = {
    "missing-key": row(
        ("the key `{key}`", "Add it; {reference} shows it with a comment."),
        ("項目 `{key}` ", "追加してください。説明は {reference} にあります。"),
    ),
    "unknown-key": row(
        ("only known keys", "Remove the key; {reference} shows every key there is."),
        ("この設定にある項目名", "この項目を取り除いてください。全項目は {reference} にあります。"),
    ),
    "unknown-key-near": row(
        ("only known keys", "Did you mean `{near}`?"),
        ("この設定にある項目名", "`{near}` の間違いではありませんか。"),
    ),
    "other-kind-key": row(
        ("only keys of kind {own}", "Remove the key; it belongs to kind {other}."),
        ("種類 {own} の項目", "取り除いてください。この項目は種類 {other} のものです。"),
    ),
    "empty": row(
        ("a value", "Nothing stands after the colon; write a value or remove the line."),
        ("値", "コロンの後に何もありません。値を書くか、行を取り除いてください。"),
    ),
    "text": row(
        ("a text", "Write one text, in quotes if in doubt."),
        ("文字の値", "値を1つの文字列で書き、迷うときは引用符で囲んでください。"),
    ),
    "text-unquoted": row(
        ("a text", "This is read as a number or as true/false; put it in quotes: {quoted}."),
        ("文字の値", "数や真偽値として読まれます。引用符で囲んでください：{quoted}。"),
    ),
    "whole-number": row(
        ("a whole number", "Write digits only, without quotes and without a unit."),
        ("整数", "引用符や単位を付けず、半角数字だけで書いてください。"),
    ),
    "whole-number-odd": row(
        ("a whole number", "Write it without leading zeros, signs or underscores: {plain}."),
        ("整数", "先頭の0や記号を付けずに書いてください：{plain}。"),
    ),
    "true-false": row(
        ("true or false", "Write `true` (yes, on) or `false` (no, off), without quotes."),
        (
            "true または false",
            "はい（yes, on）は `true`、いいえ（no, off）は `false` と、引用符なしで書いてください。",
        ),
    ),
    "list": row(
        ("a list", "Write each entry on a line of its own after `- `, or all of them in [brackets]."),
        ("一覧", "1行に1つ `- ` を付けて書くか、[ ] の中にまとめて書いてください。"),
    ),
    "mapping": row(
        ("keys and values", "Write `key: value` lines below it, indented by two spaces; see {reference}."),
        ("項目と値の組", "次の行から2文字下げて `項目: 値` を書いてください。例は {reference} にあります。"),
    ),
    "one-of": row(
        ("one of {options}", "Choose one of them."),
        ("{options} のいずれか", "この中から選んでください。"),
    ),
    "one-of-near": row(
        ("one of {options}", "Did you mean `{near}`?"),
        ("{options} のいずれか", "`{near}` の間違いではありませんか。"),
    ),
    "other": row(
        ("another value", "Compare it with {reference}."),
        ("別の値", "{reference} と見比べてください。"),
    ),
}

_VALUES: Mapping[str, Row] = {
    "text-empty": row(
        ("a text that is not empty", "Write the text, or remove the line."),
        ("空でない文字", "文字を書くか、行を取り除いてください。"),
    ),
    "text-long": row(
        ("at most {limit} characters", "Shorten the text."),
        ("{limit}文字以内の文字", "短くしてください。"),
    ),
    "text-control": row(
        ("printable characters", "Remove the invisible characters."),
        ("表示できる文字", "見えない文字を取り除いてください。"),
    ),
    "slug": row(
        (
            "an ID of lower-case letters, digits and hyphens",
            'Write it like "maebashi-city" (at most 63 characters).',
        ),
        ("半角の小文字・数字・ハイフンのID", "「maebashi-city」のように書いてください（63文字以内）。"),
    ),
    "municipality": row(
        (
            'six digits with a valid check digit, such as "102016"',
            "Write the local-government code with its check digit, in quotes; one of five digits lacks it.",
        ),
        (
            '検査数字の合う6桁の数字（例 "102016"）',
            "全国地方公共団体コードを、引用符で囲んで半角で書いてください。5桁のコードには、最後の検査数字が足りません。",
        ),
    ),
    "day": row(
        ("a day such as 2027-03-31", "Write year, month and day with hyphens."),
        ("2027-03-31 のような日付", "年、月、日をハイフンで区切って書いてください。"),
    ),
    "clock": row(
        ('a time of the day such as "08:30"', "Write hours and minutes with two digits each, in quotes."),
        ("「08:30」のような時刻", "時と分を2桁ずつ、引用符で囲んで書いてください。"),
    ),
    "council-or-list": row(
        ("`council`, `region`, or a list of local-government codes", 'Write `council` or, for example, `["102016"]`.'),
        ("`council`、`region` または市区町村コードの一覧", '`council` または `["102016"]` のように書いてください。'),
    ),
    "days-reversed": row(
        ("a day `until` that is not before `since`", "Swap them, or remove one."),
        ("`since` より前ではない `until`", "入れ替えるか、片方を取り除いてください。"),
    ),
    "quota-person": row(
        (
            "a quota for persons only where people call",
            "Add `people` to `callers`, or remove the quota; systems have the municipality's.",
        ),
        (
            "人が呼び出す経路だけに、人ごとの上限",
            "`callers` に `people` を加えるか、取り除いてください。システムには市区町村ごとの上限があります。",
        ),
    ),
    "websocket-unseen": row(
        (
            "a WebSocket only where nothing has to be looked at",
            "Remove it, or the `guard` of the route, or `required` of the service's signatures: messages pass unseen.",
        ),
        (
            "見るべきもののない経路だけに、WebSocket",
            "取り除くか、経路の `guard` やサービスの署名の `required` をやめてください。メッセージの中身は見ません。",
        ),
    ),
    "use": row(
        ("the name of a use such as civic", "Write lower-case letters, digits and hyphens."),
        ("civic のような用途の名前", "英小文字、数字、ハイフンで書いてください。"),
    ),
    "recognition-target": row(
        (
            "either `list` or `municipality`",
            "Name one list of trust.yaml, or the municipality whose lists and recognitions count; not both.",
        ),
        (
            "`list` か `municipality` のどちらか一方",
            "trust.yaml の一覧を1つ、または自治体を1つ書いてください（両方は書けません）。",
        ),
    ),
    "recognition-self": row(
        ("another municipality than `by`", "A municipality's own lists count without a recognition; remove the entry."),
        ("`by` とは別の自治体", "自分の一覧は承認がなくても有効です。この項目を取り除いてください。"),
    ),
    "recognition-absent": row(
        (
            "a recognition.yaml",
            "Without it every list counts for everyone, as far as it says; see configs/reference/recognition.yaml.",
        ),
        (
            "recognition.yaml ",
            "ないあいだは、どの一覧も全自治体で有効です。決め方は configs/reference/recognition.yaml にあります。",
        ),
    ),
    "assurance-absent": row(
        (
            "`assurance`, what this ID system's words are worth",
            "Add it, or a signed table (a source of format assurance-table in trust.yaml); see docs/assurance.md.",
        ),
        (
            "このIDシステムの言葉が何に当たるかの `assurance` ",
            "書き加えるか、署名された表（trust.yaml の assurance-table）を使ってください。説明：docs/assurance.ja.md。",
        ),
    ),
    "assurance-own": row(
        (
            "a signed table of assurance",
            "Without it `assurance` in id-systems/ counts: the operator's own word. See docs/assurance.md.",
        ),
        (
            "署名された保証の表",
            "ないあいだは、id-systems/ の `assurance`（運用者の判断）で決まります。説明：docs/assurance.ja.md。",
        ),
    ),
    "sign-in-method": row(
        ("a method of signing in (RFC 8176)", "Choose one of: {known}."),
        ("ログインのしかた（RFC 8176 の値）", "次の中から選んでください：{known}。"),
    ),
    "service-use-absent": row(
        (
            "`use`, what the service is for",
            "Recognitions are limited to uses; without one this service gets only what counts for all uses.",
        ),
        (
            "サービスの用途 `use` ",
            "承認は用途ごとに決められています。用途がないと、すべての用途で有効なものだけが使えます。",
        ),
    ),
    "municipality-digit": row(
        (
            'six digits with a valid check digit, such as "102016"',
            "The last digit does not fit; look the code up again.",
        ),
        (
            '検査数字の合う6桁の数字（例 "102016"）',
            "最後の数字（検査数字）が合いません。コードを確認してください。",
        ),
    ),
    "municipality-unquoted": row(
        (
            'six digits in quotes, such as "042056"',
            "Without quotes YAML reads a number and may change it; put the code in quotes: {quoted}.",
        ),
        (
            '引用符で囲んだ6桁の数字（例 "042056"）',
            "引用符がないと数として読まれ、値が変わることがあります。引用符で囲んでください：{quoted}。",
        ),
    ),
    "sha256": row(
        ("64 hexadecimal digits in lower case", "Write the SHA-256 of the secret, never the secret itself."),
        ("64桁の16進数（小文字）", "秘密の値そのものではなく、その SHA-256 を書いてください。"),
    ),
    "territory": row(
        ("a country in two capital letters, such as `JP`", "Write it as the pointers of the list state it."),
        ("国を表す半角の大文字2文字（例 `JP`）", "一覧の参照先に書かれているとおりに書いてください。"),
    ),
    "list-type": row(
        ("the URI of a type of list", "Write the TSLType or LoTEType as the pointers of the list state it."),
        ("一覧の種類を表す URI", "一覧の参照先に書かれている TSLType か LoTEType を書いてください。"),
    ),
    "domain": row(
        ("a domain in lower case, such as `region.example.jp`", "Write letters, digits, dots and hyphens only."),
        ("小文字のドメイン（例 `region.example.jp`）", "半角の英小文字・数字・ドット・ハイフンだけで書いてください。"),
    ),
    "subject-identifier": row(
        ("another attribute", "The gateway makes this one itself; ask for it with `subject_identifier`."),
        ("別の属性", "これはゲートウェイ自身が作ります。`subject_identifier` で指定してください。"),
    ),
    "client-id": row(
        (
            "an identifier of printable ASCII without spaces",
            "Write it exactly as the other side registered it.",
        ),
        ("空白のない半角英数記号の識別子", "相手側の登録どおりに書いてください。"),
    ),
    "route-path": row(
        ("a path below /api/", "Write it like `/api/council/polls/{{poll}}`."),
        ("/api/ で始まるパス", "`/api/council/polls/{{poll}}` のように書いてください。"),
    ),
    "media-type": row(
        ("a type of content in small letters, without parameters", "Write it like `image/png`."),
        ("英小文字で書いた、パラメータのないコンテンツの種類", "`image/png` のように書いてください。"),
    ),
    "upstream-path": row(
        ("a path that begins with /", "Write it like `/polls/{{poll}}`."),
        ("/ で始まるパス", "`/polls/{{poll}}` のように書いてください。"),
    ),
    "scope-name": row(
        ("a scope name without spaces, quotes or backslashes", "Write it like `council.polls.read`."),
        ("空白・引用符・バックスラッシュのないスコープ名", "`council.polls.read` のように書いてください。"),
    ),
    "scope-reserved": row(
        (
            "an API scope",
            "`{scope}` has a fixed meaning in OpenID Connect; choose another name, or leave it out.",
        ),
        (
            "API のスコープ",
            "`{scope}` は OpenID Connect で意味が決まっています。別の名前にするか、省いてください。",
        ),
    ),
    "uri": row(
        ("a URI", "Write it like `urn:oasis:names:tc:SAML:2.0:attrname-format:uri`."),
        ("URI", "`urn:oasis:names:tc:SAML:2.0:attrname-format:uri` のように書いてください。"),
    ),
    "attribute-name": row(
        ("a name of at most 512 printable characters", "Write it exactly as the other side writes it."),
        ("512文字以内の表示できる名前", "相手側の表記どおりに書いてください。"),
    ),
    "claim-reserved": row(
        (
            "a claim that tells something of the person",
            "`{claim}` belongs to the token itself; choose another name.",
        ),
        ("本人についてのクレーム", "`{claim}` はトークン自身のものです。別の名前にしてください。"),
    ),
    "claim-plain": row(
        ("letters, digits and `_`, beginning with a letter", "Write it like `adult` or `member_resident`."),
        ("英字で始まる英数字と `_`", "`adult` や `member_resident` のように書いてください。"),
    ),
    "requires-unknown": row(
        (
            "a fact (true or false) that services behind `{scope}` are told",
            "Add it to the scope's `attributes`, with a transform that answers yes or no, or choose one of: {known}.",
        ),
        (
            "`{scope}` の先のサービスに伝わる事実（はい・いいえ）",
            "スコープの `attributes` に、はい・いいえを答える変換で加えるか、次から選んでください：{known}。",
        ),
    ),
    "claim-is-scope": row(
        (
            "a claim whose name is no API scope",
            "Choose another name; this one is declared under scopes in routes.yaml.",
        ),
        ("API のスコープではない名前", "別の名前にしてください。この名前は routes.yaml の scopes にあります。"),
    ),
    "near-name": row(
        ("a name of the region's vocabulary", "Did you mean `{near}`?"),
        ("地域の語彙にある名前", "`{near}` の間違いではありませんか。"),
    ),
    "canonical-name": row(
        ("a name of the region's vocabulary", "Choose one of: {known}."),
        ("地域の語彙にある名前", "次の中から選んでください：{known}。"),
    ),
    "transform": row(
        ("a known transform", "Choose one of: {known}."),
        ("用意された変換の名前", "次の中から選んでください：{known}。"),
    ),
    "list-format": row(
        ("a known format of lists", "Choose one of: {known}."),
        ("用意された一覧の形式", "次の中から選んでください：{known}。"),
    ),
    "range": row(
        ("a number from {low} to {high}", "Choose a number within these bounds; both are allowed."),
        ("{low}以上{high}以下の数", "この範囲の数にしてください。"),
    ),
    "list-empty": row(
        ("at least one entry", "Add an entry."),
        ("1つ以上の要素", "要素を追加してください。"),
    ),
    "list-long": row(
        ("at most {limit} entries", "Remove some of them."),
        ("{limit}個以内の要素", "要素を減らしてください。"),
    ),
    "authority-hint-self": row(
        ("authorities above this region", "Remove the region's own address; without any it is the trust anchor."),
        ("この地域より上の機関", "地域自身のアドレスを取り除いてください。1つもなければ、地域がトラストアンカーです。"),
    ),
    "list-duplicate": row(
        ("each entry once", "Remove the entry that is there twice."),
        ("重複のない一覧", "2度書かれた要素を取り除いてください。"),
    ),
    "all-or-list": row(
        ("`all`, or a list of IDs of ID systems", "Write `all` or, for example, `[maebashi, ebetsu]`."),
        ("`all` またはIDシステムのIDの一覧", "`all` または `[maebashi, ebetsu]` のように書いてください。"),
    ),
    "url": row(
        (
            "an address that begins with https://",
            "Write the whole address in ASCII, like `https://id.example.jp/`.",
        ),
        ("https:// で始まるアドレス", "`https://id.example.jp/` のように全体を半角で書いてください。"),
    ),
    "url-credentials": row(
        ("an address without a user name or password", "Remove everything between // and @."),
        ("利用者名やパスワードのないアドレス", "// から @ までを取り除いてください。"),
    ),
    "url-plain": row(
        ("https", "Plain http is allowed for localhost only; write https."),
        ("https のアドレス", "http が使えるのは localhost だけです。https にしてください。"),
    ),
    "url-fragment": row(
        ("an address without #", "Remove # and what follows it."),
        ("# のないアドレス", "# とその後を取り除いてください。"),
    ),
    "url-query": row(
        ("an address without ?", "Remove ? and what follows it."),
        ("? のないアドレス", "? とその後を取り除いてください。"),
    ),
    "url-path": row(
        ("only scheme, host and port", "Remove the path; the gateway owns its whole host name."),
        (
            "スキーム・ホスト・ポートだけのアドレス",
            "パスを取り除いてください。ゲートウェイはホスト名全体を使います。",
        ),
    ),
    "entity-id": row(
        (
            "a URI of at most 1024 characters",
            "Write the entity ID exactly as the other side's metadata states it.",
        ),
        ("1024文字以内の URI", "相手側のメタデータにあるエンティティIDをそのまま書いてください。"),
    ),
    "store-url": row(
        (
            "`embedded`, redis://…, rediss://… or unix://…",
            "Write `embedded`, or for example `rediss://store.example.jp:6379`.",
        ),
        (
            "`embedded`、redis://…、rediss://…、unix://… のいずれか",
            "`embedded` または `rediss://store.example.jp:6379/0` のように書いてください。",
        ),
    ),
    "host": row(
        ("a host name or an IP address", "Write it without scheme and port, like `localhost` or `0.0.0.0`."),
        (
            "ホスト名または IP アドレス",
            "`localhost` や `0.0.0.0` のように、スキームやポートなしで書いてください。",
        ),
    ),
    "network": row(
        ("an IP address or a network in CIDR notation", "Write it like `192.0.2.10` or `192.0.2.0/24`."),
        (
            "IP アドレスまたは CIDR 表記のネットワーク",
            "`192.0.2.10` や `192.0.2.0/24` のように書いてください。",
        ),
    ),
    "network-all": row(
        ("the addresses of your own proxies", "This trusts the whole Internet; list the proxies only."),
        (
            "自分のプロキシのアドレス",
            "これではインターネット全体を信頼します。プロキシだけを書いてください。",
        ),
    ),
    "path": row(
        ("the path of a file", "Write it relative to the configuration directory (`~` is not known here)."),
        ("ファイルのパス", "設定ディレクトリからの相対パスで書いてください（`~` は使えません）。"),
    ),
    "path-state": row(
        (
            "a path inside the state directory after `state:`",
            "Write it like `state:authority/certificate.pem`, without `..`.",
        ),
        (
            "`state:` の後に状態ディレクトリ内のパス",
            "`state:authority/certificate.pem` のように、`..` なしで書いてください。",
        ),
    ),
}

_REFERENCES: Mapping[str, Row] = {
    "duplicate": row(
        ("a value that nothing else has", "{other} has the same; change one of the two."),
        ("他と重ならない値", "{other} と同じです。どちらかを変えてください。"),
    ),
    "unknown-reference": row(
        ("one of: {known}", "Nothing of this name is configured in {where}; correct it or add it there."),
        ("{known} のいずれか", "{where} にこの名前はありません。直すか、そこに追加してください。"),
    ),
    "unknown-reference-near": row(
        ("a name from {where}", "Did you mean `{near}`?"),
        ("{where} にある名前", "`{near}` の間違いではありませんか。"),
    ),
    "unknown-reference-none": row(
        ("a name from {where}", "None is configured there yet; add it, or leave this out."),
        ("{where} にある名前", "まだ何も設定されていません。追加するか、ここから省いてください。"),
    ),
    "route-ambiguous": row(
        ("one route for each path and method", "{other} matches the same calls; make the two differ."),
        (
            "パスとメソッドごとに1つの経路",
            "{other} と同じ呼び出しに当たります。区別できるようにしてください。",
        ),
    ),
    "route-template": row(
        (
            "a path template that can be used",
            "Write each {{name}} once, alone between slashes, in both paths; `/**` stands last in both.",
        ),
        (
            "使えるパスの型",
            (
                "{{名前}} は / の間に単独で1度だけ書き、"
                "`upstream_path` にも同じ名前を使ってください。`/**` は両方の末尾だけです。"
            ),
        ),
    ),
    "rule-combine": row(
        (
            "a transform that makes one value of several sources",
            "Add one of: {combining}; or name one source only.",
        ),
        (
            "複数の取り出し元を1つの値にする変換",
            "次のいずれかを加えるか、取り出し元を1つにしてください：{combining}。",
        ),
    ),
    "rule-order": row(
        ("several sources for `{name}`", "Name what it is to be made of, in order, or remove `{name}`."),
        ("`{name}` のための複数の取り出し元", "もとになるものを順に書くか、`{name}` を取り除いてください。"),
    ),
    "transform-shape": row(
        ("a transform", "Write its name, or `{{name: argument}}` for one that takes an argument."),
        ("変換の名前", "変換の名前か、引数のある変換なら `{{名前: 引数}}` と書いてください。"),
    ),
    "transform-argument": row(
        ("an argument that `{name}` understands: {en}", "Write it as `{{{name}: …}}`."),
        ("`{name}` の引数：{ja}", "`{{{name}: …}}` のように書いてください。"),
    ),
    "transform-argument-unused": row(
        ("`{name}` without an argument", "Write the name alone."),
        ("引数のない `{name}` ", "変換の名前だけを書いてください。"),
    ),
    "route-context": row(
        (
            "a `context` exactly where `subject` is `context`, with names that the path has",
            "Write it like poll-{{poll}}, where the path has {{poll}}; or remove both keys.",
        ),
        (
            "`subject: context` のときだけの `context`（名前はパスにあるもの）",
            "パスに {{poll}} があれば poll-{{poll}} のように書くか、両方の項目を取り除いてください。",
        ),
    ),
    "sector-alone": row(
        (
            "services of one municipality in sector `{name}`",
            "Services of one sector can compare people; separate them.",
        ),
        ("分野 `{name}` には1つの自治体のサービスだけ", "同じ分野のサービスは本人を照合できます。分けてください。"),
    ),
    "sector-shared": row(
        ("to know that the services of `{name}` can compare people", "Remove `sector` where that is not meant."),
        ("`{name}` のサービス同士は本人を照合できるという確認", "意図しない場合は `sector` を取り除いてください。"),
    ),
    "evidence": row(
        ("how the ID system came to know it: one of {known}", "Choose one of them, or remove the line."),
        ("IDシステムがどう確かめたか：{known} のいずれか", "この中から選ぶか、行を取り除いてください。"),
    ),
    "object-identifier": row(
        ("an object identifier in dotted form", 'Write it in quotes, like "1.2.392.200149.8.5.1.1.10".'),
        ("点で区切ったオブジェクト識別子", '「"1.2.392.200149.8.5.1.1.10"」のように引用符で囲んで書いてください。'),
    ),
    "subject-field": row(
        (
            "a field of the certificate that stays the person's when it is renewed",
            "Choose subject.NAME, jpki.NAME, san.email or san.otherName.OID as its issuer promises, else `key`.",
        ),
        (
            "更新しても変わらない、証明書の項目",
            "発行者の約束どおり subject.名前、jpki.名前、san.email などから選び、なければ `key` としてください。",
        ),
    ),
    "attribute-policy-own": row(
        (
            "a policy that residents' own certificates are not issued under",
            "With this one anybody could sign attributes about themselves. Name the policy of the issuer's signers.",
        ),
        (
            "住民の証明書には使われないポリシー",
            "これでは、だれでも自分の属性に署名できてしまいます。発行者の署名用のポリシーを書いてください。",
        ),
    ),
    "policies-absent": row(
        (
            "`policies` of the residents' certificates beside `attribute_policies`",
            "Name them: without them the signers' own certificates would sign in, too.",
        ),
        (
            "`attribute_policies` と並んで、住民の証明書の `policies`",
            "書いてください。ないと、署名用の証明書でもログインできてしまいます。",
        ),
    ),
    "card-readers-url": row(
        (
            "an https address at the host of `public_url`, with a port of its own",
            "Write it so: the browser's cookie must reach both.",
        ),
        (
            "`public_url` と同じホストの、別のポートの https アドレス",
            "そのように書いてください。ブラウザの Cookie が両方に届く必要があります。",
        ),
    ),
    "client-certificates-url": row(
        ("an https address", "Certificates are shown in the TLS handshake; write the address that these clients ask."),
        (
            "https のアドレス",
            "証明書は TLS のやりとりで示されます。クライアントが使うアドレスを書いてください。",
        ),
    ),
    "client-certificates-way": row(
        (
            "either `listen` and `tls`, or `header` and `trusted_proxies`",
            "Let the gateway see certificates itself, or name the proxies that pass them on.",
        ),
        (
            "`listen` と `tls` の両方、または `header` と `trusted_proxies` の両方",
            "ゲートウェイが自分で証明書を受け取るか、証明書を渡すプロキシを指定してください。",
        ),
    ),
    "card-readers-absent": row(
        ("a listener for card readers in gateway.yaml", "Set `card_readers` there, or remove this line."),
        (
            "gateway.yaml にカードリーダー用の待ち受け",
            "そこに `card_readers` を書くか、この行を取り除いてください。",
        ),
    ),
    "subject-unpromised": row(
        (
            "to know that a renewed certificate is a new person until both were shown",
            "Ask the issuer for a field that stays, and name it in `subject`.",
        ),
        (
            "更新した証明書は、新旧の両方を示すまで別の人として扱うという確認",
            "変わらない項目を発行者に確かめ、`subject` に書いてください。",
        ),
    ),
    "answer-minutes": row(
        (
            "no less than the `answer_minutes` of an ID system ({limit})",
            "The sign-in would be over before the phone's answer; raise this, or lower that.",
        ),
        (
            "IDシステムの `answer_minutes`（{limit}）以上の数",
            "スマートフォンの返事より先にログインが終わってしまいます。こちらを長くするか、あちらを短くしてください。",
        ),
    ),
    "signing-identifies": row(
        (
            "to know that this service gets the certificates of residents who sign, with all that stands in them",
            "Remove `signing` where that is not meant.",
        ),
        (
            "署名した住民の証明書が、記載事項ごとこのサービスに渡ることの確認",
            "意図しない場合は `signing` を取り除いてください。",
        ),
    ),
    "signing-untimed": row(
        (
            "`timestamp` in gateway.yaml, without which nobody could say later when a text was signed",
            "Set it there, or remove `signing`.",
        ),
        (
            "gateway.yaml の `timestamp`（なければ、いつ署名したかを後で確かめられません）",
            "そこに書くか、`signing` を取り除いてください。",
        ),
    ),
    "revocation-soft": row(
        (
            "to know that a certificate may count although it could not be learned whether it was revoked",
            "Use `mode: hard` where the issuer's service is dependable.",
        ),
        (
            "失効しているか分からなくても、証明書を受け入れることがあるという確認",
            "発行者のサービスが安定しているなら `mode: hard` にしてください。",
        ),
    ),
    "map-file": row(
        (
            "a file of `id-systems` or `services` in a configuration directory",
            "Name one, as configs/demo/services/x.yaml.",
        ),
        (
            "設定ディレクトリーの `id-systems` か `services` にあるファイル",
            "configs/demo/services/x.yaml のように指定してください。",
        ),
    ),
    "attributes-absent": row(
        ("the key `attributes`, or `attributes_like`", "Say how this ID system's attributes are read."),
        ("項目 `attributes` か `attributes_like` ", "このIDシステムの属性の読み方を書いてください。"),
    ),
    "attributes-like-kind": row(
        ("one of the same kind", "Its attributes have names of another kind; name one of the same kind."),
        ("同じ種類のもの", "種類が違うと項目名も違います。同じ種類のものを指定してください。"),
    ),
    "attributes-like-itself": row(
        ("another map than this one", "These maps are each like the other, in a circle; break it at one of them."),
        ("自分以外の対応表", "互いに参照し合って輪になっています。どれか1つの参照を取り除いてください。"),
    ),
    "attributes-without-like": row(
        ("`attributes_like` beside it", "Only what another map makes can be left out; otherwise remove the line."),
        (
            "`attributes_like` との組み合わせ",
            "省けるのは別の対応表の項目だけです。そうでなければ行を取り除いてください。",
        ),
    ),
    "attributes-without-unknown": row(
        ("a name that the map of `{like}` makes", "Correct the name, or remove it."),
        ("`{like}` の対応表が作る名前", "名前を直すか、取り除いてください。"),
    ),
    "text-language": row(
        ("a text in `{language}`", "Every text needs at least the default language; add `{language}: …`."),
        ("`{language}` の文字", "どの文にも既定の言語が必要です。`{language}: …` を追加してください。"),
    ),
    "text-language-absent": row(
        (
            "a text in `{language}` too",
            "People who read `{language}` will see the text of the default language.",
        ),
        ("`{language}` の文字", "このままでは `{language}` の利用者には既定の言語で表示されます。"),
    ),
    "text-language-unknown": row(
        (
            "only languages that the gateway knows ({languages})",
            "Correct the language code, or remove the text.",
        ),
        ("ゲートウェイが知っている言語（{languages}）", "言語コードを直すか、この文を取り除いてください。"),
    ),
    "default-language": row(
        ("one of `languages` ({languages})", "Choose one of them, or add the language to `languages`."),
        ("`languages`（{languages}）のいずれか", "その中から選ぶか、`languages` に追加してください。"),
    ),
    "client-secret": row(
        (
            "`client_secret_file` for client_secret_basic",
            "Name the file that holds the secret the ID system gave you.",
        ),
        (
            "client_secret_basic のための `client_secret_file`",
            "IDシステムから受け取った秘密を収めたファイルを書いてください。",
        ),
    ),
    "client-secret-unused": row(
        ("no `client_secret_file` with private_key_jwt", "Remove it; the gateway signs with its own key."),
        (
            "`client_secret_file` のない private_key_jwt",
            "取り除いてください。ゲートウェイは自分の鍵で署名します。",
        ),
    ),
    "openid-scope": row(
        ("the scope `openid`", "Add `openid`; without it the ID system returns no ID token."),
        ("スコープ `openid` ", "`openid` を追加してください。ないとIDトークンが返りません。"),
    ),
    "subject-id-common": row(
        (
            "`weaker: [common-subject-id]` beside `subject-id`",
            "Services can compare people by it; prefer `pairwise-id`, or ask for the weaker setting by name.",
        ),
        (
            "`subject-id` には `weaker: [common-subject-id]` ",
            "サービス同士が本人を照合できる番号です。`pairwise-id` にするか、弱める設定を名前で書いてください。",
        ),
    ),
    "no-id-systems": row(
        (
            "at least one file in id-systems",
            "Nobody can sign in yet; docs/joining.md says how an ID system joins.",
        ),
        (
            "id-systems に1つ以上のファイル",
            "まだ誰もログインできません。参加の手順は docs/joining.md にあります。",
        ),
    ),
    "no-services": row(
        (
            "at least one file in services",
            "No service can be used yet; docs/joining.md says how a service joins.",
        ),
        (
            "services に1つ以上のファイル",
            "まだ使えるサービスがありません。参加の手順は docs/joining.md にあります。",
        ),
    ),
}

_SOURCES: Mapping[str, Row] = {
    "source-place": row(
        ("exactly one of {keys}", "Say where the list is found: in a file, or at an address from which it is fetched."),
        ("{keys} のどれか1つだけ", "一覧の場所を、ファイルか取得先のアドレスのどちらか1つで書いてください。"),
    ),
    "source-entity": row(
        (
            "`entity`, the trust anchor's entity ID, with openid-federation",
            "Write the entity ID that the federation's authority publishes; `file` may name a bundle collected before.",
        ),
        (
            "openid-federation には起点となる `entity`（エンティティID）",
            "連合の運営者が公開しているIDを書いてください。集め済みの束があれば `file` に書けます。",
        ),
    ),
    "source-entity-unused": row(
        ("no `entity` with this format", "Remove it; only openid-federation begins at an entity."),
        ("この形式では `entity` のない項目", "取り除いてください。`entity` は openid-federation だけのものです。"),
    ),
    "source-url-federation": row(
        ("no `url` with openid-federation", "Remove it; the addresses follow from `entity`."),
        ("openid-federation では `url` のない項目", "取り除いてください。取得先は `entity` から決まります。"),
    ),
    "follow-unused": row(
        ("no `follow` with this format", "Remove it; only lists of ETSI TS 119 612 and TS 119 602 point to others."),
        (
            "この形式では `follow` のない項目",
            "取り除いてください。ほかの一覧を参照するのは etsi-119612 と etsi-119602 の一覧だけです。",
        ),
    ),
    "private-addresses-unused": row(
        ("`private_addresses` only for a list that is fetched", "Remove it; this list is read from a file."),
        ("取得する一覧だけの `private_addresses` ", "取り除いてください。この一覧はファイルから読まれます。"),
    ),
    "anchor-twice": row(
        ("a successor that is not among `anchors` already", "Remove it from one of the two."),
        ("`anchors` にまだない後継の鍵", "どちらか一方から取り除いてください。"),
    ),
    "private-addresses": row(
        (
            "documents from public addresses",
            "These may be fetched from private addresses; remove that when they are published elsewhere.",
        ),
        (
            "公開されたアドレスからの取得",
            "内部のアドレスからの取得を許しています。公開先ができたら取り除いてください。",
        ),
    ),
}

_LISTENERS: Mapping[str, Row] = {
    "listen-plain": row(
        (
            "TLS on a listener that others can reach",
            "Set `tls`, or listen on localhost, or use https in `public_url` and name the `trusted_proxies`.",
        ),
        (
            "外から届くアドレスでは TLS ",
            (
                "`tls` を設定するか、localhost で待ち受けるか、"
                "TLS プロキシを `trusted_proxies` に書き `public_url` を https にしてください。"
            ),
        ),
    ),
    "tls-public-url": row(
        ("an https address, because `tls` is set", "Write https, or remove `tls`."),
        ("https のアドレス（`tls` があるため）", "https にするか、`tls` を取り除いてください。"),
    ),
    "admin-open": row(
        (
            "a loopback address",
            "The admin listener asks nobody who they are; use localhost, behind a proxy if need be.",
        ),
        (
            "ループバックアドレス",
            "管理用の待ち受けは相手を確認しません。localhost にし、必要ならプロキシを前に置いてください。",
        ),
    ),
    "same-port": row(
        ("another port than the public listener", "Choose another port."),
        ("公開用と異なるポート", "別のポートにしてください。"),
    ),
    "password-embedded": row(
        ("no password for the embedded store", "Remove `password_file`, or set `url` to a server."),
        (
            "`password_file` のない埋め込みストア",
            "`password_file` を取り除くか、`url` にサーバーを書いてください。",
        ),
    ),
    "store-plain": row(
        (
            "an encrypted connection to the store",
            "Use rediss://, or make sure that nobody else is on this network.",
        ),
        (
            "ストアへの暗号化された接続",
            "rediss:// を使うか、他人のいないネットワークであることを確認してください。",
        ),
    ),
    "proxy-unnamed": row(
        (
            "`tls`, or the proxy's address in `trusted_proxies`",
            (
                "public_url is https but the gateway itself speaks plain HTTP; "
                "the headers of a proxy that is not named are ignored."
            ),
        ),
        (
            "`tls`、または `trusted_proxies` にプロキシのアドレス",
            ("public_url は https ですがゲートウェイ自身は HTTP です。プロキシを書くまでそのヘッダーは無視されます。"),
        ),
    ),
    "weaker": row(
        ("no weaker setting", "`{name}` weakens the gateway; remove it when the partner can do better."),
        ("弱める設定のない状態", "`{name}` は安全性を弱めます。相手側が対応したら取り除いてください。"),
    ),
}

MESSAGES: Mapping[str, Row] = {
    **FILES,
    **YAML,
    **_SHAPES,
    **_VALUES,
    **_REFERENCES,
    **_SOURCES,
    **_LISTENERS,
    **MATERIAL,
}
