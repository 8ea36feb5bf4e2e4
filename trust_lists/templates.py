"""What `kakehashi trust new` writes: a recipe, an example of a member, and what to do next, in Japanese and English.

Texts only. `@NAME@` and so on are filled in by `authoring.new_list`; every other character stands as it is.
"""

RECIPE = """\
# 名簿のレシピ：だれの署名で、だれを載せ、いつまで有効か。変えたら署名しなおします（kakehashi trust sign）。
# A list's recipe: who is on it, and for how long. After any change the list is signed again (kakehashi trust sign).

# 名簿の名前。受け取る側の trust.yaml の name と同じにします。 / Its name; the same as `name` in trust.yaml.
list: @NAME@

# 形式。etsi-119602 は JSON、etsi-119612 は XML（認証局の名簿を欧州の形式で求められたとき）。
# Its format: etsi-119602 is JSON; etsi-119612 is XML, for whoever asks for certificate authorities in that form.
format: @FORMAT@

# 会員のファイル（*.yaml）の場所と、署名した名簿の出力先。 / Where the members' files (*.yaml) are, and the output.
members: members/
output: @OUTPUT@

# 署名してから何日有効か（1〜366）。切れる前に署名しなおしてください。
# For how many days it is valid once signed (1 to 366). Sign it again before they are over.
valid_days: 30

# だれの名簿か。人が読むためのもので、信頼の判断には使われません。英語名（en）も書きます。
# Whose list it is. For people; nothing is decided by it. The name stands in English (en) too.
operator:
  name: {ja: 名簿を管理する自治体の名前, en: Name of the municipality that keeps this list}
  #postal_address: {ja: 住所, en: Postal address}
  #contact: mailto:lists@city.example.jp
  #information: https://www.city.example.jp/lists
territory: JP

# 名簿を公開するアドレスがあれば書きます。 / Where the list is published, if it is.
#distribution: [https://lists.city.example.jp/@OUTPUT@]

# ほかの名簿への参照（名簿の名簿）。certificates はその名簿に署名する人の証明書。会員がいなくてもかまいません。
# Other lists that this one leads to; certificates: of those who sign them. Members are optional then.
#pointers:
#  - {location: "https://lists.town.example.jp/list.jwt", certificates: [town.pem], territory: JP}
"""

MEMBER = """\
# 会員の例。「会員の名前.yaml」に写して（例：members/rides.yaml）、中身を書きかえます。この例のままでは読まれません。
# An example of a member. Copy it to NAME.yaml (as members/rides.yaml) and fill it in. As it is, it is not read.

# この相手を指す名前。ふつうは https のアドレス。 / What it is called by machines; mostly its https address.
entity_id: https://rides.city.example.jp

# 役割 / Its role: openid-provider (IDシステム / ID system), openid-relying-party (サービス / service),
# certificate-authority (認証局), regional-service (地域のサービス), council-member (協議会の会員).
# SAML の会員は saml-metadata の名簿に載せます。 / SAML members go on a saml-metadata list.
role: openid-relying-party

# 全国地方公共団体コード。6桁を引用符で囲みます。 / Local-government code: six digits, in quotes.
municipality: "102016"

name: {ja: 乗合タクシー予約, en: Shared taxi bookings}

# OpenID の役割だけ：登録する値（RFC 7591 の名前）。鍵は jwks_file: FILE.json で渡せます（公開鍵だけ）。
# OpenID roles only: what is registered of it, by the names of RFC 7591. Keys: jwks_file: FILE.json (public keys only).
metadata:
  redirect_uris: ["https://rides.city.example.jp/callback"]
  token_endpoint_auth_method: client_secret_basic

# 認証局では：証明書のファイル（PEM）。 / A certificate authority: files with its certificates (PEM).
#certificates: [authority.pem]

# 地域のサービスと協議会の会員：証明書のほか、公開鍵そのもの（JWK Set）でも載せられます（etsi-119602 の名簿だけ）。
# A shared service or a council member: certificates, or the public keys themselves (JWK Set; etsi-119602 lists only).
#jwks_file: rides.jwks.json

# 何に使ってよいか。書かなければ制限しません。 / What it may be used for; without it: anything.
#uses: [civic]

# 示してよい本人確認の保証レベルの上限（0〜3）。 / The highest identity assurance that it may assert (0 to 3).
#maximum_identity: 2

# いまの扱いと、いつからか（日本の日付）。granted（認める）、recognised、withdrawn（取り消し）。
# Its status and since when (a day in Japan): granted, recognised or withdrawn. To withdraw it, leave it listed so.
status: granted
since: "@TODAY@"
#history: [{status: granted, since: "2025-04-01"}]

# 人が読むためのもの。 / For people.
#postal_address: {ja: 住所, en: Postal address}
#contact: mailto:rides@city.example.jp
#information: https://www.city.example.jp/rides
"""

NEXT_STEPS = {
    "ja": """\
次にすること：
1. @RECIPE@ に、名簿を管理する自治体の名前を書きます。
2. @EXAMPLE@ を写して、会員ごとに members/名前.yaml を作ります。
3. 鍵がまだなければ作ります（一度だけ。key.pem は人に渡さず、ネットワークの外に置きます）：
   kakehashi trust new-authority AUTHORITY
4. 署名します：
   kakehashi trust sign @RECIPE@ --key AUTHORITY/key.pem --certificate AUTHORITY/certificate.pem
5. できた @OUTPUT@ と certificate.pem を、信頼する側に渡します。証明書は別の方法（電話や訪問）でも確かめてもらいます。
   相手の trust.yaml には、名前 @NAME@、形式 @FORMAT@、anchors に certificate.pem と書きます。
""",
    "en": """\
What to do next:
1. Write into @RECIPE@ the name of the municipality that keeps the list.
2. Copy @EXAMPLE@ to members/NAME.yaml for each member, and fill it in.
3. If there is no key yet, make one (once; nobody else gets key.pem, and it stays off the network):
   kakehashi trust new-authority AUTHORITY
4. Sign:
   kakehashi trust sign @RECIPE@ --key AUTHORITY/key.pem --certificate AUTHORITY/certificate.pem
5. Hand @OUTPUT@ and certificate.pem to those who are to trust it; let them make sure of the certificate by another way
   (a telephone call, a visit). Their trust.yaml says name @NAME@, format @FORMAT@, and certificate.pem under anchors.
""",
}
