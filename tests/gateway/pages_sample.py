"""Invented pages, one of each sort, that the tests of the pages share."""

from dataclasses import replace
from datetime import UTC, datetime

from federation.refusal import AssuranceTooLow, CertificateExpired
from gateway.pages import (
    Agreement,
    AgreementsPage,
    ChoiceOption,
    ChoicePage,
    ConsentItem,
    ConsentPage,
    ConsentScope,
    ErrorPage,
    GoOnPage,
    IndexPage,
    Page,
    PostFormPage,
    ServiceLink,
    SignedOutPage,
    SignedText,
    SigningCodePage,
    SigningPage,
    WithdrawalPage,
)

PORTAL = ServiceLink(
    name={"ja": "群馬県ポータル", "en": "Gunma Prefecture portal"},
    address="https://portal.example/",
    purpose={"ja": "県の手続きを始めるため", "en": "To start the prefecture's procedures"},
)
APPLICATION = SignedText(
    title="子ども医療費の助成の申請",
    text="前橋市長 様\n\n子ども医療費の助成を申請します。\n振込先 群馬銀行 1234567\n\n申請者 髙橋 花子\n",
)
OPTIONS = (
    ChoiceOption(
        id="maebashi",
        name={"ja": "前橋市", "en": "Maebashi City"},
        reading="まえばしし",
        municipality="102016",
        description={"ja": "めぶくIDを使います", "en": "With Mebuku ID"},
    ),
    ChoiceOption(
        id="omura",
        name={"ja": "大村市", "en": "Ōmura City"},
        reading="おおむらし",
        municipality="422053",
        description={"ja": "市民カードを使います", "en": "With the citizen card"},
        last=True,
    ),
    ChoiceOption(
        id="ebetsu",
        name={"ja": "江別市", "en": "Ebetsu City"},
        reading="えべつし",
        municipality="012173",
        description={"ja": "住民IDを使います", "en": "With the resident ID"},
    ),
)
CONSENT = ConsentPage(
    service=PORTAL,
    purpose={"ja": "意見を聞くため", "en": "To hear opinions"},
    items=(
        ConsentItem(label={"ja": "氏名", "en": "Name"}, values=("髙橋 花子",)),
        ConsentItem(label={"ja": "生年月日", "en": "Date of birth"}, values=("1949-03-15",)),
        ConsentItem(label={"ja": "通称", "en": "Names in use"}, values=("山田 はな", "Hana Yamada")),
    ),
    scopes=(
        ConsentScope(label={"ja": "投票を見る", "en": "See polls"}),
        ConsentScope(
            label={"ja": "投票する", "en": "Vote"},
            told=(
                ConsentItem(
                    label={"ja": "18歳以上かどうか", "en": "Whether 18 or older"}, values=("true",), truth=True
                ),
            ),
        ),
    ),
    municipality={"ja": "前橋市", "en": "Maebashi City"},
    until=datetime(2027, 11, 21, 16, tzinfo=UTC),
    action="/login/h4ndle/consent",
    csrf="t0ken",
)
AGREEMENT = Agreement(
    address="/consents/c0nsent",
    service=PORTAL,
    municipality={"ja": "群馬県", "en": "Gunma Prefecture"},
    purpose={"ja": "意見を聞くため", "en": "To hear opinions"},
    left=False,
    attributes=({"ja": "氏名", "en": "Name"}, {"ja": "生年月日", "en": "Date of birth"}),
    scopes=({"ja": "投票を見る", "en": "See polls"},),
    told=({"ja": "18歳以上かどうか", "en": "Whether 18 or older"},),
    since=datetime(2026, 11, 21, 16, tzinfo=UTC),
    until=datetime(2027, 11, 21, 16, tzinfo=UTC),
)
GONE = replace(AGREEMENT, service=ServiceLink(name={"en": "old-portal"}), municipality=None, purpose=None, left=True)
CHANGED = replace(AGREEMENT, purpose=None, attributes=(), scopes=(), told=())
PAGES: dict[str, Page] = {
    "index": IndexPage(systems=OPTIONS, services=(PORTAL,)),
    "empty index": IndexPage(systems=(), services=()),
    "choice": ChoicePage(
        service=PORTAL,
        options=OPTIONS,
        unusable=({"ja": "高崎市", "en": "Takasaki City"},),
        action="/login/h4ndle/choose",
        csrf="t0ken",
    ),
    "choice-none": ChoicePage(
        service=PORTAL,
        options=(),
        unusable=({"ja": "高崎市", "en": "Takasaki City"}, {"ja": "館林市", "en": "Tatebayashi City"}),
        action="/login/h4ndle/choose",
        csrf="t0ken",
    ),
    "consent": CONSENT,
    "agreements for whom": AgreementsPage(sign_in="/consents/sign-in"),
    "agreements": AgreementsPage(
        sign_in="/consents/sign-in", agreements=(AGREEMENT, CHANGED, GONE), leave="/consents/leave", csrf="t0ken"
    ),
    "agreements none": AgreementsPage(
        sign_in="/consents/sign-in", agreements=(), leave="/consents/leave", csrf="t0ken"
    ),
    "withdrawal": WithdrawalPage(
        agreement=AGREEMENT, withdrawn=False, action="/consents/c0nsent", back="/consents", csrf="t0ken"
    ),
    "withdrawn": WithdrawalPage(
        agreement=AGREEMENT, withdrawn=True, action="/consents/c0nsent", back="/consents", csrf="t0ken"
    ),
    "error": ErrorPage.of(AssuranceTooLow("inner detail"), reference="7F3K-92QD", service=PORTAL),
    "error with another way": ErrorPage.of(
        CertificateExpired("inner detail"),
        reference="7F3K-92QD",
        service=PORTAL,
        another="https://gateway.example/login/h4ndle",
    ),
    "error without service": ErrorPage.of(AssuranceTooLow("inner detail"), reference="7F3K-92QD"),
    "signed out": SignedOutPage(done=(PORTAL.name, OPTIONS[0].name), left=()),
    "signed out in part": SignedOutPage(done=(PORTAL.name,), left=(OPTIONS[1].name, OPTIONS[2].name)),
    "signing": SigningPage(
        service=PORTAL,
        about=APPLICATION,
        municipality={"ja": "前橋市", "en": "Maebashi City"},
        action="/signing/h4ndle",
        csrf="t0ken",
    ),
    "signing again": SigningPage(
        service=PORTAL,
        about=APPLICATION,
        municipality={"ja": "前橋市", "en": "Maebashi City"},
        action="/signing/h4ndle",
        csrf="t0ken",
        over=True,
    ),
    "signing-code": SigningCodePage(
        service=PORTAL, about=APPLICATION, across=True, minutes=5, action="/signing/h4ndle", csrf="t0ken", left=2
    ),
    "signing elsewhere": SigningCodePage(
        service=PORTAL, about=APPLICATION, across=False, minutes=5, action="/signing/h4ndle", csrf="t0ken"
    ),
    "go on": GoOnPage(location="https://portal.example/en/index?SAMLRequest=x&Signature=y"),
    "post": PostFormPage(action="https://portal.example/acs", fields=(("SAMLResponse", "PHg+"), ("RelayState", "r"))),
}
