/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BH_WORD(id, English, Japanese): every word a report prints, included by words_priv.h and
 * say.c with their own BH_WORD (no include guard). Templates: see words_priv.h.
 */

/* small words */
/* clang-format off: a table */
BH_WORD(NONE, "", "")
BH_WORD(TITLE, "Access trend", "アクセス傾向")
BH_WORD(JOIN, ", ", "、")
BH_WORD(JOIN_LAST, " and ", "、")
BH_WORD(DAYS, "{0} {0?day|days}", "{0} 日間")
BH_WORD(HOURS, "{0} {0?hour|hours}", "{0} 時間")
BH_WORD(MINUTES, "{0} {0?minute|minutes}", "{0} 分間")
BH_WORD(SECONDS, "{0} {0?second|seconds}", "{0} 秒間")
BH_WORD(UNIT_ACCESSES, "accesses", "アクセス")
BH_WORD(UNIT_SOURCES, "sources", "送信元")
BH_WORD(UNIT_PACKETS, "packets", "パケット")
BH_WORD(UNIT_BYTES, "bytes", "バイト")
BH_WORD(UNALLOCATED, "unallocated", "未割り当て")
BH_WORD(UNKNOWN_COUNTRY, "unknown", "不明")
BH_WORD(DOT, "·", "·")

/* columns */
BH_WORD(COL_RANK, "", "")
BH_WORD(COL_COUNTRY, "registered country", "登録国")
BH_WORD(COL_REGION, "region", "地域")
BH_WORD(COL_SHARE, "share", "割合")
BH_WORD(COL_SOURCES, "sources", "送信元")
BH_WORD(COL_TOP_PORTS, "top ports", "上位ポート")
BH_WORD(COL_TREND, "over the period", "期間中の推移")
BH_WORD(COL_PORT, "port", "ポート")
BH_WORD(COL_SERVICE, "service", "サービス")
BH_WORD(COL_PURPOSE, "likely aim", "考えられる狙い")
BH_WORD(COL_CVE, "known weaknesses", "既知の脆弱性")
BH_WORD(COL_ADDRESS, "address", "アドレス")
BH_WORD(COL_PORTS, "ports", "ポート数")
BH_WORD(COL_FIRST, "first", "最初")
BH_WORD(COL_LAST, "last", "最後")
BH_WORD(COL_AS, "AS", "AS")
BH_WORD(COL_NETWORK, "name", "名前")
BH_WORD(COL_CLASS, "kind of address", "アドレスの種別")
BH_WORD(COL_RFC, "RFC", "RFC")
BH_WORD(COL_OFFERED, "offered to", "提供先")
BH_WORD(EVERYONE, "everyone", "すべて")
BH_WORD(COL_VISITS, "visits", "訪問")
BH_WORD(COL_COMPLETE, "complete", "完了")
BH_WORD(COL_RESET, "reset", "相手が切断")
BH_WORD(COL_HALF_OPEN, "half open", "半開")
BH_WORD(COL_REFUSED, "refused", "拒否")
BH_WORD(COL_SILENT, "silent", "無応答")
BH_WORD(COL_UNKNOWN, "unknown", "不明")

/* headings */
BH_WORD(HEAD_CROSSTAB, "Ports by country", "ポートと国")
BH_WORD(HEAD_HOME, "Home country: {0}", "自国: {0}")
BH_WORD(HEAD_SOURCES, "Sources: {0}", "送信元: {0}")
BH_WORD(HEAD_NETWORKS, "Networks (autonomous systems)", "ネットワーク (自律システム)")
BH_WORD(NETWORKS_OF, "Data on autonomous systems: {0}.", "自律システムのデータ: {0}。")
BH_WORD(COL_SENSOR, "sensor", "センサー")
BH_WORD(COL_SEEN_LAST, "last record", "最後の記録")
BH_WORD(COL_DARK, "dark", "無記録")
BH_WORD(HEAD_SENSORS, "Sensors", "センサー")
BH_WORD(HEAD_SENSOR_PORTS, "Ports by sensor", "センサーとポート")
BH_WORD(SENSOR_PORTS_MORE, "{0} more {0?port|ports}: a wider terminal shows more, --json all.",
        "ほかに {0} ポート。端末の幅を広げると増え、--json には全件あります。")
BH_WORD(
    SENSORS_COUNT,
    "Counted are all countries, the home country too. A source that several sensors saw is one source above, and one of each sensor here. Dark: the time without any record, of two hours or more at once.",
    "自国を含むすべての国を数えています。複数のセンサーに現れた送信元は、全体では 1、ここでは各センサーで 1 と数えます。無記録: 2 時間以上記録のなかった時間の合計。")
BH_WORD(SENSOR_GAPS, "{0} recorded nothing from {1} to {2} ({3}).",
        "{0} は {1} から {2} まで ({3}) 記録がありません。")
BH_WORD(SENSOR_ENDS, "{0} has recorded nothing since {1}, while others went on.",
        "{0} は {1} を最後に記録がありません (ほかのセンサーは続いています)。")
BH_WORD(SENSOR_GAPS_MORE, "{0} more {0?silence|silences} of single sensors: see --json.",
        "個々のセンサーの無記録はほかに {0} 回あります (--json を見てください)。")
BH_WORD(HEAD_VISITS, "Visits to what is offered", "提供しているサービスへの訪問")
BH_WORD(HEAD_NO_COUNTRY, "Addresses without a country", "登録国のないアドレス")
BH_WORD(HEAD_PINGS, "Pings, and what is not an access", "ping と、アクセスでないもの")
BH_WORD(HEAD_OUTCOMES, "What became of the connections (TCP)", "接続の結末 (TCP)")
BH_WORD(HEAD_TIMELINE_HOUR, "Hour by hour", "1 時間ごとの推移")
BH_WORD(HEAD_TIMELINE_DAY, "Day by day", "1 日ごとの推移")
BH_WORD(HEAD_TIMELINE_WEEK, "Week by week", "1 週間ごとの推移")
BH_WORD(HEAD_REMARKS, "Remarks", "目につくこと")
BH_WORD(HEAD_HEALTH, "About this report", "この報告について")

/* the opening */
BH_WORD(OPEN_PERIOD, "From {0} to {1} ({2}, {3})", "{0} から {1} まで ({2}、{3}) の間に")
BH_WORD(OPEN_DAY, "On {0} ({1})", "{0} ({1}) に")
BH_WORD(OPEN_KNOCKED,
        " {0} {0?source|sources} in {1} {1?country|countries} knocked {2} {2?time|times} on {3}",
        "、{1} か国の {0} の送信元から {3}へ {2} 件のアクセスがありました")
BH_WORD(OPEN_KNOCKED_REGIONS, " {0} {0?source|sources} knocked {2} {2?time|times} on {3}",
        "、{0} の送信元から {3}へ {2} 件のアクセスがありました")
BH_WORD(OPEN_KNOCKED_NOWHERE,
        " {0} {0?source|sources} without a country knocked {2} {2?time|times} on {3}",
        "、登録国のない {0} の送信元から {3}へ {2} 件のアクセスがありました")
BH_WORD(OPEN_SENSORS, "{0} sensors", "{0} 台のセンサー")
BH_WORD(OPEN_VISITED, ", and paid {0} {0?visit|visits} to what is offered",
        "。提供しているサービスへの訪問は別に {0} 件です")
BH_WORD(OPEN_MOST, "; abroad, ", "。国外で多いのは")
BH_WORD(OPEN_MOST_ANY, "; ", "。多いのは")
BH_WORD(OPEN_PLACE, "{0} ({1})", "{0} ({1})")
BH_WORD(OPEN_MOST_END, " {0?comes|come} first", " です")
BH_WORD(OPEN_HOME, "; from {0} itself came {1} ({2})", "。自国の{0}からは {1} (全体の {2}) です")
BH_WORD(OPEN_PORT, ". The port most knocked at from {0} is {1}: {2}.",
        "。{0}からのアクセスが最も多いポートは {1} です ({2})。")
BH_WORD(OPEN_PORT_BARE, ". The port most knocked at from {0} is {1}.",
        "。{0}からのアクセスが最も多いポートは {1} です。")
BH_WORD(ABROAD, "abroad", "国外")
BH_WORD(LISTED_PLACES, "the listed [countries|regions]", "一覧の[国々|地域]")
BH_WORD(OPEN_END, ".", "。")
BH_WORD(OPEN_COUNTED, " Counted below: {0}.", "以下は{0}の数です。")
BH_WORD(OPEN_FILTER, " Only what matches the filter: {0}.", "フィルターに合うものだけです: {0}。")
BH_WORD(OPEN_APPROXIMATE, " Counts of sources are approximate (within {0}).",
        "送信元の数は概数です (誤差 {0} 程度)。")

/* nothing to report */
BH_WORD(NOTHING_FRAMES, "No frames: there is nothing in {0} to count.",
        "フレームがありません。{0} には数えるものがありません。")
BH_WORD(HOME_OF_LOG, "the hosts that wrote the log", "ログの記録元")
BH_WORD(NOTHING_INPUT, "the input", "入力")
BH_WORD(NOTHING_PERIOD, "The period {0} holds no access.", "期間 {0} にアクセスはありません。")
BH_WORD(NOTHING_PACKETS, "No access: {0} {0?frame|frames}, none of them an IP packet we can read.",
        "アクセスはありません。{0} フレームのうち、読み取れる IP パケットは 1 つもありません。")
BH_WORD(NOTHING_ANSWERS, "No access: {0} {0?packet|packets}, all answers to connections of {1}.",
        "アクセスはありません。{0} パケットは、すべて {1} からの接続への応答です。")
BH_WORD(NOTHING_OUTGOING, "No access: {0} {0?packet|packets}, all sent by {1} itself.",
        "アクセスはありません。{0} パケットは、すべて {1} 自身が送ったものです。")
BH_WORD(NOTHING_ELSEWHERE, "No access: {0} {0?packet|packets}, none of them sent to {1}.",
        "アクセスはありません。{0} パケットのうち、{1} 宛てのものは 1 つもありません。")
BH_WORD(
    NOTHING_MOSTLY,
    "No access: {0} {0?packet|packets}; of the {1} that came in, the most frequent are {2} ({3}).",
    "アクセスはありません。{0} パケットのうち届いたのは {1} で、その中で最も多いのは「{2}」({3}) です。")
BH_WORD(NOTHING_FILTER, "The filter {0} selects none of the accesses, or there are none.",
        "フィルター {0} に合うアクセスはありません。")
BH_WORD(NOTHING_TRY_HOME, " If {0} is not the sensor's own address, name it: --home ADDRESS.",
        "{0} が観測点のアドレスでなければ、--home アドレス で指定してください。")
BH_WORD(NOTHING_TRY_ALL, " To count every packet that came in: --all-accesses.",
        "届いたパケットをすべて数えるには --all-accesses を付けてください。")
BH_WORD(NOTHING_TRY_FILTER, " Try without the filter.", "フィルターなしで試してください。")
BH_WORD(NOTHING_TRY_PERIOD, " Try without --since, --until and --last.",
        "--since、--until、--last なしで試してください。")

/* the tables */
BH_WORD(ROW_HOME, "{0} (home)", "{0} (自国)")
BH_WORD(ROW_OTHERS, "{0} {0?other|others}", "ほか {0} [か国|地域]")
BH_WORD(ROW_NO_COUNTRY, "no country", "国なし")
BH_WORD(PORTS_OF, "{0}: {1} from {2} {2?source|sources}", "{0}: {1}、送信元 {2}")
BH_WORD(PORTS_OF_SOURCES, "{0}: {1}", "{0}: {1}")
BH_WORD(NO_HOME_TRAFFIC, "Nothing came from {0}.", "{0}からは何も届いていません。")
BH_WORD(HOME_ASSUMED, "The home country is assumed from the time zone {0}; --home-country sets it.",
        "自国はタイムゾーン {0} からの推定です。--home-country で指定できます。")
BH_WORD(SAME_NETWORK, "same network", "同じネットワーク")
BH_WORD(SOURCES_MORE, "{0} more: --top shows more, --csv and --json all.",
        "ほか {0} 件。--top で増やせます。--csv と --json には全件あります。")
BH_WORD(SOURCES_NONE, "No source fits {0}.", "{0} に当てはまる送信元はありません。")
BH_WORD(OUTCOMES_OF, "The listed [countries|regions] and the home country together.",
        "一覧の[国々|地域]と自国の合計です。")
BH_WORD(PINGS, "{0} {0?ping|pings} from {1} {1?source|sources}; {2} of them knocked afterwards.",
        "ping は {1} の送信元から {0} 件で、このうち後からアクセスしてきた送信元は {2} です。")
BH_WORD(NO_PINGS, "No pings.", "ping はありません。")
BH_WORD(NOT_ACCESSES,
        "Not accesses, and not counted above: ", "アクセスではなく、上の数に含まれないもの: ")
BH_WORD(NOT_ACCESS, "{1} {0}", "{1} {0}")
BH_WORD(CHART_UNIT, "Bars: {0} per {1}; a dot marks a time without any frame.",
        "{1}あたりの{0}数。点はフレームが 1 つもなかった時間です。")
BH_WORD(CHART_UNIT_PLAIN, "Bars: {0} per {1}.", "{1}あたりの{0}数。")
BH_WORD(CHART_UNIT_MEAN, "Bars: {0} per {1}, mean of {2}; a dot marks a time without any frame.",
        "{1}あたりの{0}数 ({2}ごとの平均)。点はフレームが 1 つもなかった時間です。")
BH_WORD(CHART_UNIT_MEAN_PLAIN, "Bars: {0} per {1}, mean of {2}.",
        "{1}あたりの{0}数 ({2}ごとの平均)。")
BH_WORD(BIN_HOUR, "hour", "1 時間")
BH_WORD(BIN_DAY, "day", "1 日")
BH_WORD(BIN_WEEK, "week", "1 週間")
BH_WORD(BINS_HOUR, "{0} hours", "{0} 時間")
BH_WORD(BINS_DAY, "{0} days", "{0} 日")
BH_WORD(BINS_WEEK, "{0} weeks", "{0} 週間")
BH_WORD(GAP, "Nothing at all was seen from {0} to {1} ({2}).",
        "{0} から {1} まで ({2}) は何も観測されていません。")
BH_WORD(GAPS_MORE, "{0} more such gaps.", "このような空白はほかに {0} か所あります。")
BH_WORD(REMARKS_MORE, "{0} more in --json.", "ほか {0} 件は --json にあります。")
BH_WORD(OFFERED, "Services you offer can be shown as visits: --served {0}",
        "提供しているサービスなら、訪問として分けて数えられます: --served {0}")

/* health */
BH_WORD(
    HEALTH_FRAMES,
    "{0} {0?frame|frames} read, {1} IP {1?packet|packets}, {2} {2?access|accesses} ({3} TCP, {4} UDP)",
    "{0} フレーム、IP パケット {1}、アクセス {2} (TCP {3}、UDP {4})")
BH_WORD(HEALTH_TIME, " in {0} s.", "、所要 {0} 秒。")
BH_WORD(HEALTH_END, ".", "。")
BH_WORD(
    HEALTH_DAMAGE,
    "{0} stored shorter than sent, {1} cut before ports, {2} malformed, {3} with an impossible time, {4} {4?gap|gaps}.",
    "一部だけ保存されたもの {0}、ポートの手前で切れたもの {1}、壊れたもの {2}、時刻が不正なもの {3}、記録の空白 {4} か所。")
BH_WORD(HEALTH_MALFORMED, "Malformed: ", "壊れたものの内訳: ")
BH_WORD(HEALTH_NOT_DECODED, "{0} {0?frame is|frames are} of other protocols than IP and ARP.",
        "IP でも ARP でもないフレームが {0} 個ありました。")
BH_WORD(HEALTH_ORDER, "{0} {0?frame was|frames were} not in the order of time.",
        "時刻順でないフレームが {0} 個ありました。")
BH_WORD(HEALTH_DUPLICATES, "{0} {0?duplicate|duplicates} marked.", "重複 {0} 件に印を付けました。")
BH_WORD(HEALTH_FILTER, "{0} {0?record|records} lacked a field the filter asks for.",
        "フィルターの問う項目を持たない記録が {0} 件ありました。")
BH_WORD(
    HEALTH_BOUNDS,
    "Tables were full: some verdicts may be wrong. See health.bounds_reached in --json.",
    "表が一杯になったため、判定の一部が誤っているかもしれません。--json の health.bounds_reached を見てください。")
BH_WORD(HEALTH_DATA, "Registered countries: {0} of {1} ({2}).", "登録国: {0}、{1} 版 ({2})。")
BH_WORD(HEALTH_DATA_PART, "Registered countries: {0} of {1} ({2}) for {3} of the accesses.",
        "登録国: アクセスの {3} に {0}、{1} 版 ({2})。")
BH_WORD(HEALTH_DATA_NONE, "No country data was found: every address is unallocated.",
        "国データがないため、すべて未割り当てとして扱いました。")
BH_WORD(
    HEALTH_DATA_FAR,
    " The packets are {0} years away from that date: an address may have been registered elsewhere then.",
    "パケットの日付とは {0} 年離れているため、当時の登録国とは異なるかもしれません。")
BH_WORD(HEALTH_HOME, "Home: {0}", "自分のアドレス: {0}")
BH_WORD(HEALTH_HOME_GUESSED, "Home: {0} (guessed; --home sets it)",
        "自分のアドレス: {0} (推定。--home で指定できます)")
BH_WORD(
    HEALTH_OWN,
    "{0} {0?packet of the sensor's own exports is|packets of the sensor's own exports are} not in it.",
    "センサー自身の送信に使われた {0} パケットは含みません。")
BH_WORD(LOST_GAP, "From {0} to {1} {2} {2?packet was|packets were} lost: {3}.",
        "{0} から {1} までに {2} パケットが失われました: {3}。")
BH_WORD(LOST_DOWN, "From {0} to {1} the interface was down.",
        "{0} から {1} までインターフェースが停止していました。")
BH_WORD(LOST_MORE, "{0} more such gaps.", "このような空白はほかに {0} か所あります。")
BH_WORD(LOST_KERNEL, "no room in the kernel", "カーネル内の空き不足")
BH_WORD(LOST_QUEUE, "the log did not keep up", "ログへの書き込みの遅れ")
BH_WORD(LOST_DEAD, "a process of the sensor died", "センサーのプロセスの異常終了")
BH_WORD(HEALTH_LOG, "From a packet log: {0} {0?record|records} in {1} octets.",
        "パケットログから集計: 記録 {0} 件、{1} バイト。")
BH_WORD(HEALTH_LOG_FILTER, "It was written with a filter and holds nothing else: {0}.",
        "このログは次のフィルターで取り込まれ、ほかの記録はありません: {0}。")
BH_WORD(HEALTH_LOG_FILTER_PART, "A part of it was written with a filter: {0}.",
        "一部は次のフィルターで取り込まれたものです: {0}。")
BH_WORD(
    HEALTH_LOG_AGAIN,
    "It was written with another home or other rules (home: {0}); its records were judged again.",
    "ログ作成時 (監視対象 {0}) と監視対象または規則が違うため、判定をやり直しました。")
BH_WORD(
    HEALTH_LOG_AGAIN_LEAN,
    "It was written with another home or other rules (home: {0}); its records were judged again, without the sequence numbers that it lacks.",
    "ログ作成時 (監視対象 {0}) と監視対象または規則が違うため、判定をやり直しました (このログにはシーケンス番号がありません)。")
BH_WORD(HEALTH_NOTE, "{0}: {1}", "{0}: {1}")
BH_WORD(HEALTH_NOTE_AT, "{0}, byte {1}: {2}", "{0}、{1} バイト目: {2}")
BH_WORD(HEALTH_NOTE_LINE, "{0}, line {1}: {2}", "{0}、{1} 行目: {2}")

/* what was no access */
BH_WORD(CLASS_ECHO, "pings", "ping")
BH_WORD(CLASS_ECHO_REPLY, "ping answers sent", "送信した ping 応答")
BH_WORD(CLASS_UNREACHABLE, "\"unreachable\" sent", "送信した到達不能通知")
BH_WORD(CLASS_TCP_BACKSCATTER, "TCP backscatter", "TCP のはね返り")
BH_WORD(CLASS_UDP_BACKSCATTER, "UDP backscatter", "UDP のはね返り")
BH_WORD(CLASS_ICMP_BACKSCATTER, "ICMP backscatter", "ICMP のはね返り")
BH_WORD(CLASS_NULL, "NULL scans", "NULL スキャン")
BH_WORD(CLASS_FIN, "FIN scans", "FIN スキャン")
BH_WORD(CLASS_XMAS, "Xmas scans", "Xmas スキャン")
BH_WORD(CLASS_ACK, "ACK scans", "ACK スキャン")
BH_WORD(CLASS_ODD, "odd TCP flags", "異常な TCP フラグ")
BH_WORD(CLASS_STRAY, "stray TCP segments", "接続に属さない TCP")
BH_WORD(CLASS_UDP_ANSWER, "UDP answers", "UDP の応答")
BH_WORD(CLASS_FRAGMENT, "later fragments", "後続の断片")
BH_WORD(CLASS_CUT, "cut headers", "切れたヘッダー")
BH_WORD(CLASS_ARP, "ARP messages", "ARP")
BH_WORD(CLASS_ND, "neighbour discovery", "近隣探索")
BH_WORD(CLASS_OTHER, "other protocols", "その他のプロトコル")
BH_WORD(CLASS_LOCAL, "local packets", "内部のパケット")
BH_WORD(CLASS_IN_FLOW, "segments of known connections", "既知の接続のセグメント")
BH_WORD(CLASS_ICMP_OTHER, "other ICMP", "その他の ICMP")

/* counts in the chosen unit */
BH_WORD(COUNT_ACCESSES, "{0} {0?access|accesses}", "{0} 件")
BH_WORD(COUNT_SOURCES, "{0} {0?source|sources}", "{0} 送信元")
BH_WORD(COUNT_PACKETS, "{0} {0?packet|packets}", "{0} パケット")
BH_WORD(COUNT_BYTES, "{0} {0?byte|bytes}", "{0} バイト")

/* remarks: the list and first ports */
BH_WORD(R_FIRST_IN_LIST,
        "{0} comes first in the list with {1}, {2} of all; its first port is {3} with {4}.",
        "一覧の 1 位は{0}の {1} (全体の {2}) で、そのうち最も多いのは {3} の {4}です。")
BH_WORD(
    R_FIRST_DIFFERS,
    "Unlike most of the [countries|regions] above it, {0} knocks most at {1}, with {2}; {3} comes {4} with {5}.",
    "{0}は順位が上の[国々|地域]と違い、最も多いのは {1} の {2}で、{3} は {4}の {5}です。")
BH_WORD(
    R_FIRST_DIFFERS_NONE,
    "Unlike most of the [countries|regions] above it, {0} knocks most at {1}, with {2}; {3} is not among its top ports.",
    "{0}は順位が上の[国々|地域]と違い、最も多いのは {1} の {2}で、{3} は上位にありません。")
BH_WORD(R_FIRST_LIKE, "Like {6}, {0} knocks most at {1}, with {2}; {3} comes {4} with {5}.",
        "{0}は{6}と同じく {1} の {2}が最も多く、{3} は {4}の {5}です。")
BH_WORD(R_FIRST_LIKE_NONE,
        "Like {6}, {0} knocks most at {1}, with {2}; {3} is not among its top ports.",
        "{0}は{6}と同じく {1} の {2}が最も多く、{3} は上位にありません。")
BH_WORD(PLACE_2, "second", "2 番目")
BH_WORD(PLACE_3, "third", "3 番目")
BH_WORD(PLACE_4, "fourth", "4 番目")
BH_WORD(PLACE_N, "further down", "下位")

/* remarks: sets of ports */
BH_WORD(R_NEW_PORT, "{0} is the first in the list with {1} among its top ports.",
        "一覧を上から見て、{1} が上位に現れるのは{0}が最初です。")
BH_WORD(R_NOTHING_NEW,
        "{0} brings nothing new: each of its top ports is also one of a [country|region] above it.",
        "{0}に目新しいものはなく、上位のポートはどれも順位が上の[国|地域]に現れています。")
BH_WORD(R_SAME_PORTS, "{0} has the same top ports as {1}, in another order: {2}.",
        "{0}の上位のポートは{1}と同じ顔ぶれで、順番だけが違います: {2}。")
BH_WORD(R_SAME_PORTS_ORDER, "{0} has the same top ports as {1}, in the same order: {2}.",
        "{0}の上位のポートは{1}と、順番まで同じです: {2}。")
BH_WORD(R_BUT_ONE, "{0} has the same top ports as {1}, with {2} in place of {3}.",
        "{0}の上位のポートは{1}とほぼ同じで、{3} の代わりに {2} が入っています。")
BH_WORD(R_ONLY_COUNTRY, "Of the listed [countries|regions], only {0} has {1} among its top ports.",
        "一覧の[国々|地域]のうち、{1} が上位にあるのは{0}だけです。")

/* remarks: shares */
BH_WORD(R_DOMINANCE,
        "{0}: {1} alone makes up {2} of its top ports ({3} of {4}) and {5} of all it sent.",
        "{0}は {1} だけで上位ポートの {2} ({4} のうち {3})、全体の {5} を占めます。")
BH_WORD(
    R_HIGHEST,
    "The highest shares of {0} among the top ports are those of {1} ({2}) and {3} ({4}); next is {5} ({6}).",
    "上位ポートに占める {0} の割合が最も高いのは{1} ({2}) と{3} ({4}) で、次は{5} ({6}) です。")
BH_WORD(
    R_ALL_WANT,
    "{0} is among the top ports of all {1} listed [countries|regions] and first in {2} of them: {3}, {4} of those to their top ports.{5}",
    "{0} は一覧の {1} [か国|地域]すべての上位にあり、{2} [か国|地域]では 1 位です。合わせて {3}で、上位ポート全体の {4} を占めます。{5}")
BH_WORD(
    R_ALL_WANT_FIRST,
    "{0} is the first port of all {1} listed [countries|regions]: {3}, {4} of those to their top ports.{5}",
    "{0} は一覧の {1} [か国|地域]すべてで 1 位です。合わせて {3}で、上位ポート全体の {4} を占めます。{5}")
BH_WORD(
    R_ALL_WANT_NEVER_FIRST,
    "{0} is among the top ports of all {1} listed [countries|regions]: {3}, {4} of those to their top ports.{5}",
    "{0} は一覧の {1} [か国|地域]すべての上位にあります。合わせて {3}で、上位ポート全体の {4} を占めます。{5}")
BH_WORD(
    R_HALF_WANT,
    "{0} is among the top ports of {1} of the {2} listed [countries|regions]: {3}, {4} of them from {5}.{6}",
    "{0} は一覧の {2} [か国|地域]のうち {1} [か国|地域]の上位にあります。合わせて {3}で、最も多いのは{5}の {4} です。{6}")
BH_WORD(R_SOUGHT, " Likely aim: {0}.", "考えられる狙い: {0}。")
BH_WORD(R_TARGETS,
        "Each of the {0} listed [countries|regions] has at least one of {1} among its top ports.",
        "一覧の {0} [か国|地域]はどこも、{1} のうち少なくとも 1 つが上位にあります。")

/* remarks: the home country */
BH_WORD(
    R_HOME_DOMINANCE,
    "{0} sent {1} to {2}: {3} times the largest entry from abroad ({4} from {5}, {6}) and {7} times the next ({8}).",
    "{0}からの {2} は {1}で、国外で最も多い項目 ({5}の {4}、{6}) の {3} 倍、次に多い項目 ({8}) の {7} 倍です。")
BH_WORD(R_HOME_AND_ONE, "Besides {1}, the home country, only {2} has {0} among its top ports.",
        "{0} が上位にあるのは、自国の{1}と{2}だけです。")
BH_WORD(R_HOME_ONLY,
        "Only {1}, the home country, has {0} among its top ports; no listed [country|region] does.",
        "{0} が上位にあるのは自国の{1}だけで、一覧の[国々|地域]にはありません。")

/* remarks: sources */
BH_WORD(R_FEW_SOURCES, "Only {3} {3?source is|sources are} behind {0} to {1} from {2}.",
        "{2}から {1} への {0}は、わずか {3} つの送信元によるものです。")
BH_WORD(R_ONE_SOURCE, "One source, {0}, sent {1} of the {2} from {3} ({4}).",
        "{3}からの {2}のうち {1} 件 ({4}) は、1 つの送信元 {0} によるものです。")
BH_WORD(
    R_NEARLY_EQUAL,
    "Two neighbours in the same network, {0} and {1}, sent nearly the same number: {2} and {3}, a difference of {4} ({5}).",
    "同じネットワークの {0} と {1} は、ほぼ同数を送っています: {2} と {3}、差は {4} ({5}) です。")

/* remarks: time */
BH_WORD(
    R_GAP_SENSOR,
    "From {0} to {1} ({2}) nothing was seen at all, not even from {3} independent senders that were regular otherwise: it was probably the sensor that was off, not the senders.",
    "{0} から {1} まで ({2}) は何も観測されていません。規則的に届いていた互いに無関係な {3} の送信元もそろって途切れており、送信元ではなく観測点が止まっていたと考えられます。")
BH_WORD(R_GAP, "From {0} to {1} ({2}) nothing was seen at all.",
        "{0} から {1} まで ({2}) は何も観測されていません。")
BH_WORD(R_BURST, "{0} to {1} within the hour from {2}, all from one source: {3} ({4}).",
        "{2} からの 1 時間に、1 つの送信元 {3} ({4}) から {1} へ {0}のアクセスがありました。")
/* clang-format on */
