"""What an export consists of, and how it is named."""

FORMAT = "medsales audit export 1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
README = """\
This folder is an export of a log of medsales, for an auditor.

  facts/            every fact, one canonical JSON line each, in the order of the log
  hashes.bin        the 32 bytes that were kept for each of them when it was sealed
  heads.ndjson      the signed tree heads; keys.json: the public keys that signed them
  proof.json        the hashes that stand for what is not exported, before and behind
  stamps/           what timestamp authorities answered, and the text that they stamped
  read_models.json  count and digest of every table that was computed from the facts
  manifest.json     the files with their SHA-256; manifest.sig: the signature over it
  verifier/         the program that checks all of it

To check it you need Python 3.11 and the package `cryptography`, no database and no server:

  cd verifier
  python -m medsales.audit .. --key FINGERPRINT --heads FILE

FINGERPRINT is that of the key you trust, FILE the heads that were written down outside. Without
them it is only shown that the export agrees with itself. Better than the copy in here is one of
the program that you got elsewhere; docs/sealing.md of medsales says what each step proves.

本文件夹是 medsales 日志的审计导出。核验只需 Python 3.11 与 cryptography 包，无需数据库和服务器：

  cd verifier
  python -m medsales.audit .. --key 指纹 --heads 文件

“指纹”为您信任的密钥指纹，“文件”为留存在外部的树头文件；缺少二者时，只能证明导出内容自身一致。
"""
