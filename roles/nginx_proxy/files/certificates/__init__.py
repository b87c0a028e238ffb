"""The certificates of nginx's sites: who issues them, when they are renewed, how they are.

The role packs this folder into one file, /usr/local/lib/nginx-proxy/certificates.pyz, so that a host has all
of it or none. The Python and the cryptography of Debian 12 and 13; nothing else.
"""
