PRAGMA application_id=1953459308;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES('currency','CNY');
INSERT INTO meta VALUES('pepper',X'4c8117e52b103f08158b806f89d4ba3a456e2ccbd737adf5a03345a60de3d7c6');
INSERT INTO meta VALUES('schema_version',1);
CREATE TABLE wallets (
    id          TEXT PRIMARY KEY,
    balance     INTEGER NOT NULL,
    credit_line INTEGER NOT NULL,
    credited    INTEGER NOT NULL,
    charged     INTEGER NOT NULL,
    shortfall   INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO wallets VALUES('alice',11196240000,0,12500000000,1303760000,0,1795412703979);
INSERT INTO wallets VALUES('bob',146240000,0,750000000,603760000,0,1795412710336);
INSERT INTO wallets VALUES('carol',3000000000,0,3000000000,0,0,1795412697572);
INSERT INTO wallets VALUES('dave',500000000,0,500000000,0,0,1795412697580);
CREATE TABLE keys (
    id     TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO keys VALUES('alice',X'8d80b7555461aba0bf1f34b9d7c420affb0a61c9a5e0d2e0e567ec50fb4ab708','{"id":"alice","wallet":"alice","name":"alice","revision":1,"enabled":true,"expires_at":null,"models":"all","allowed_ips":[],"limits":[{"name":"day","measure":"spend","cap":5000000000,"per":"day","models":"all"},{"name":"rpm","measure":"requests","cap":100,"per":"minute","models":"all"},{"name":"all","measure":"tokens","cap":1000000,"per":"total","models":"all"}],"on_short":"refuse","on_disconnect":"drain","created_at":1795412697067}');
INSERT INTO keys VALUES('bob',X'c962a6346da73c1c0f11f5fe7d2df87c5c72596041a6aaa013f46935a197b31d','{"id":"bob","wallet":"bob","name":"bob","revision":1,"enabled":true,"expires_at":null,"models":"all","allowed_ips":[],"limits":[],"on_short":"refuse","on_disconnect":"drain","created_at":1795412697068}');
INSERT INTO keys VALUES('key_LWZjWWaQulkN',X'2e7727374392b170c06ee67ef2ce6f031e8f6bb1a83e7d09209d69b207b4a910','{"id":"key_LWZjWWaQulkN","wallet":"alice","name":"team","revision":1,"enabled":true,"expires_at":null,"models":"all","allowed_ips":[],"limits":[],"on_short":"refuse","on_disconnect":"drain","created_at":1795412697588}');
INSERT INTO keys VALUES('key_X9nws8sIa98q',X'af821ebc879a445beaa051d9b26744edf9b6ced04e511b5576bacfbc06eb81bd','{"id":"key_X9nws8sIa98q","wallet":"dave","name":"dave","revision":2,"enabled":false,"expires_at":null,"models":"all","allowed_ips":[],"limits":[],"on_short":"refuse","on_disconnect":"drain","created_at":1795412697580}');
INSERT INTO keys VALUES('key_u7SxsboF09Gh',X'97d85918057a9793f1eb3666a0217ec4b39ce9eeba6768fd1b0ada3585ce3da8','{"id":"key_u7SxsboF09Gh","wallet":"carol","name":"carol","revision":1,"enabled":true,"expires_at":null,"models":"all","allowed_ips":[],"limits":[{"name":"spend-month","measure":"spend","cap":1000000000,"per":"month","models":"all"},{"name":"requests-minute","measure":"requests","cap":50,"per":"minute","models":"all"}],"on_short":"refuse","on_disconnect":"drain","created_at":1795412697572}');
CREATE TABLE entries (
    id     TEXT PRIMARY KEY,
    wallet TEXT NOT NULL,
    amount INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO entries VALUES('config:alice','alice',10000000000,'{"id":"config:alice","wallet":"alice","kind":"opening","amount":"10","reason":"declared balance","actor":"config","at":1795412697068}');
INSERT INTO entries VALUES('config:bob','bob',1000000000,'{"id":"config:bob","wallet":"bob","kind":"opening","amount":"1","reason":"declared balance","actor":"config","at":1795412697068}');
INSERT INTO entries VALUES('fix-1','bob',-250000000,'{"id":"fix-1","wallet":"bob","kind":"adjustment","amount":"-0.25","reason":"a correction","actor":"ops","at":1795412697618}');
INSERT INTO entries VALUES('invoice-1','alice',2500000000,'{"id":"invoice-1","wallet":"alice","kind":"topup","amount":"2.5","reason":"top-up","actor":"cli","at":1795412697592}');
INSERT INTO entries VALUES('opening:key_X9nws8sIa98q','dave',500000000,'{"id":"opening:key_X9nws8sIa98q","wallet":"dave","kind":"opening","amount":"0.5","reason":"opening balance","actor":"admin","at":1795412697580}');
INSERT INTO entries VALUES('opening:key_u7SxsboF09Gh','carol',3000000000,'{"id":"opening:key_u7SxsboF09Gh","wallet":"carol","kind":"opening","amount":"3","reason":"opening balance","actor":"admin","at":1795412697572}');
CREATE TABLE terms (
    id     INTEGER PRIMARY KEY,
    record TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO terms VALUES(1,'{"name":"gift","unit":"money","amount":100000000,"models":"all","expires_at":null}');
INSERT INTO terms VALUES(2,'{"name":"free-chat","unit":"tokens","amount":300,"models":{"only":["vendor/chat"]},"expires_at":null}');
CREATE TABLE grants (
    wallet TEXT NOT NULL,
    name   TEXT NOT NULL,
    used   INTEGER NOT NULL,
    terms  INTEGER NOT NULL,
    PRIMARY KEY (wallet, name)
) STRICT, WITHOUT ROWID;
INSERT INTO grants VALUES('alice','free-chat',300,2);
INSERT INTO grants VALUES('alice','gift',100000000,1);
INSERT INTO grants VALUES('bob','free-chat',300,2);
INSERT INTO grants VALUES('bob','gift',100000000,1);
INSERT INTO grants VALUES('carol','free-chat',0,2);
INSERT INTO grants VALUES('carol','gift',0,1);
INSERT INTO grants VALUES('dave','free-chat',0,2);
INSERT INTO grants VALUES('dave','gift',0,1);
CREATE TABLE counters (
    wallet  TEXT NOT NULL,
    key     TEXT NOT NULL,
    window  TEXT NOT NULL,
    ends_at INTEGER,
    cap     INTEGER NOT NULL,
    tally   TEXT NOT NULL,
    PRIMARY KEY (wallet, key, window)
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES('alice','alice/all','"total"',NULL,1000000,'{"used":562}');
INSERT INTO counters VALUES('alice','alice/day/1795363200000','{"period":{"start":1795363200000,"end":1795449600000}}',1795449600000,5000000000,'{"used":1303760000}');
INSERT INTO counters VALUES('alice','alice/rpm','{"bucket":{"refill_ms":60000}}',NULL,100,'{"level":{"unit_ms":5870900,"at":1795412703979}}');
CREATE TABLE receipts (
    id            BLOB PRIMARY KEY,
    wallet        TEXT NOT NULL,
    key           TEXT NOT NULL,
    model         TEXT NOT NULL,
    price_version TEXT NOT NULL,
    held_at       INTEGER NOT NULL,
    settled_at    INTEGER NOT NULL,
    counted       TEXT NOT NULL,
    late          INTEGER NOT NULL,
    held          INTEGER NOT NULL,
    priced        INTEGER NOT NULL,
    charged       INTEGER NOT NULL,
    shortfall     INTEGER NOT NULL,
    free_money    INTEGER NOT NULL,
    free_tokens   INTEGER NOT NULL,
    free_images   INTEGER NOT NULL,
    free_requests INTEGER NOT NULL,
    cached_input  INTEGER NOT NULL,
    cache_write   INTEGER NOT NULL,
    input         INTEGER NOT NULL,
    audio_input   INTEGER NOT NULL,
    reasoning     INTEGER NOT NULL,
    output        INTEGER NOT NULL,
    audio_output  INTEGER NOT NULL,
    images        INTEGER NOT NULL,
    seconds       INTEGER NOT NULL,
    characters    INTEGER NOT NULL,
    requests      INTEGER NOT NULL,
    claim_token   TEXT,
    claim_body    BLOB,
    detail        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO receipts VALUES(X'01a206efa21b72e3b72f7e22646a1f31','alice','alice','vendor/chat','1821f1143197',1795412697626,1795412697627,'exact',0,0,0,0,0,0,65,0,0,0,0,12,0,0,53,0,0,0,0,0,'alice-1',X'6bc160ed73b01c59e9b0d4fd1b0d4d68f6cddd606df54c89c953c8521f0ad402','{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efa88f705c9908879444ba6042','alice','alice','vendor/chat','1821f1143197',1795412699278,1795412699279,'exact',0,9892000,0,0,0,0,61,0,0,0,0,12,0,0,49,0,0,0,0,0,'alice-2',X'14d49417e03b700ee821908579da2cf2cd738f6f065f6c28d0f1d1ec511c8b94','{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efadf070b983ea59c5a82025c6','alice','alice','vendor/chat','1821f1143197',1795412700655,1795412700656,'exact',0,10388000,576000,576000,0,0,37,0,0,0,0,12,0,0,61,0,0,0,0,0,'alice-3',X'df49424663f4d3bbc7278610a0536eefb96f0ef4b7d7f84ff6e7d9d91102efa6','{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efb44b76fc8ff604680f24fdbc','alice','alice','vendor/chat','1821f1143197',1795412702283,1795412702283,'exact',0,10536000,1088000,1088000,0,0,0,0,0,0,0,12,0,0,65,0,0,0,0,0,'alice-4',X'6f94251d9b079c7e7673f465f1b7b03a32c090b7c75c41a08716ace159bff529','{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efb45475f3950f1c2847217f1d','alice','alice','vendor/chat','1821f1143197',1795412702292,1795412703969,'exact',0,10632000,1072000,1072000,0,0,0,0,0,0,0,12,0,0,64,0,0,0,0,0,NULL,NULL,'{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":true,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efbaeb70bc8c93395949f4c222','alice','alice','vendor/image','1821f1143197',1795412703979,1795412703979,'exact',0,350000000,350000000,350000000,0,0,0,0,0,0,0,0,0,0,0,0,1,0,0,0,NULL,NULL,'{"endpoint":"/images/generations","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efbaf571b0b14120493030bb4b','bob','bob','vendor/chat','1821f1143197',1795412703989,1795412703989,'exact',0,0,0,0,0,0,65,0,0,0,0,12,0,0,53,0,0,0,0,0,'bob-1',X'6bc160ed73b01c59e9b0d4fd1b0d4d68f6cddd606df54c89c953c8521f0ad402','{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efbaff7562b4fe7d212541056f','bob','bob','vendor/chat','1821f1143197',1795412703998,1795412705626,'exact',0,0,0,0,0,0,74,0,0,0,0,12,0,0,62,0,0,0,0,0,NULL,NULL,'{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":true,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efc16477f9bffe44faec6b434d','bob','bob','vendor/image','1821f1143197',1795412705635,1795412705635,'exact',0,250000000,350000000,250000000,0,100000000,0,0,0,0,0,0,0,0,0,0,1,0,0,0,NULL,NULL,'{"endpoint":"/images/generations","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efc16c741fb1d38348ea0b4d0f','bob','bob','vendor/chat','1821f1143197',1795412705643,1795412705643,'exact',0,9892000,0,0,0,0,61,0,0,0,0,12,0,0,49,0,0,0,0,0,'bob-2',X'14d49417e03b700ee821908579da2cf2cd738f6f065f6c28d0f1d1ec511c8b94','{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efc17471408227748f2908e15b','bob','bob','vendor/chat','1821f1143197',1795412705651,1795412707003,'exact',0,10232000,0,0,0,0,63,0,0,0,0,12,0,0,51,0,0,0,0,0,NULL,NULL,'{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":true,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efc6c574d5a29eb0dbdd9cebab','bob','bob','vendor/image','1821f1143197',1795412707012,1795412707012,'exact',0,350000000,350000000,350000000,0,0,0,0,0,0,0,0,0,0,0,0,1,0,0,0,NULL,NULL,'{"endpoint":"/images/generations","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efc6cd74a89fb182170a836990','bob','bob','vendor/chat','1821f1143197',1795412707020,1795412707020,'exact',0,10388000,576000,576000,0,0,37,0,0,0,0,12,0,0,61,0,0,0,0,0,'bob-3',X'df49424663f4d3bbc7278610a0536eefb96f0ef4b7d7f84ff6e7d9d91102efa6','{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efc6d57710b780afcc8a5a5d65','bob','bob','vendor/chat','1821f1143197',1795412707028,1795412708630,'exact',0,10632000,1024000,1024000,0,0,0,0,0,0,0,12,0,0,61,0,0,0,0,0,NULL,NULL,'{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":true,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efcd2772ce883f8292335afccf','bob','bob','vendor/chat','1821f1143197',1795412708646,1795412708646,'exact',0,10536000,1088000,1088000,0,0,0,0,0,0,0,12,0,0,65,0,0,0,0,0,'bob-4',X'6f94251d9b079c7e7673f465f1b7b03a32c090b7c75c41a08716ace159bff529','{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":false,"attempts":1}');
INSERT INTO receipts VALUES(X'01a206efcd3477868042645d131cc6e7','bob','bob','vendor/chat','1821f1143197',1795412708659,1795412710336,'exact',0,10632000,1072000,1072000,0,0,0,0,0,0,0,12,0,0,64,0,0,0,0,0,NULL,NULL,'{"endpoint":"/chat/completions","upstream":"demo","status":200,"streamed":true,"attempts":1}');
CREATE TABLE prices (
    hash       TEXT PRIMARY KEY,
    content    TEXT NOT NULL,
    first_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO prices VALUES('1821f1143197','{"currency":"CNY","models":{"vendor/chat":{"aliases":["chat"],"category":"chat","context_tokens":8192,"max_output_tokens":512,"reasoning_tokens_max":0,"image_tokens_max":16384,"overhead_tokens":512,"images_max":4,"prices":[{"effective_from":null,"free":false,"rates":{"input":"0.000004","output":"0.000016"}}]},"vendor/image":{"aliases":["image"],"category":"text-to-image","context_tokens":131072,"max_output_tokens":32768,"reasoning_tokens_max":0,"image_tokens_max":16384,"overhead_tokens":512,"images_max":4,"prices":[{"effective_from":null,"free":false,"rates":{"images":"0.35"}}]}}}',1795412697064);
CREATE TABLE checkpoints (
    wallet        TEXT PRIMARY KEY,
    until         INTEGER NOT NULL,
    receipts      INTEGER NOT NULL,
    charged       INTEGER NOT NULL,
    shortfall     INTEGER NOT NULL,
    free_money    INTEGER NOT NULL,
    free_tokens   INTEGER NOT NULL,
    free_images   INTEGER NOT NULL,
    free_requests INTEGER NOT NULL,
    usage         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO checkpoints VALUES('alice',1795412702274,6,951024000,0,100000000,137,0,0,'{"input":36,"output":174,"images":3}');
CREATE INDEX counters_ending ON counters (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX receipts_of_wallet ON receipts (wallet, settled_at);
CREATE INDEX receipts_in_time ON receipts (settled_at);
CREATE INDEX receipts_claimed ON receipts (settled_at) WHERE claim_token IS NOT NULL;
COMMIT;
