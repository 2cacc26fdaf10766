/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What administrators may ask of coordd: the verbs, their words and the
 * rows of their answers. Shared by coordctl, coordd and stored.
 */

#ifndef COORDD_ADM_H
#define COORDD_ADM_H

/*
 * An ADM_REQ is a struct msg_adm_list and n NUL-terminated words: object,
 * verb (none where the table has ""), then each argument as "key=value", in
 * any order; a list repeats its key. coordctl checks the arguments and turns
 * durations into seconds and flags into "1"; stored checks all of it again.
 * The imsg id names the request; every row, the end or the failure carries
 * the same id. uid is set by the parent from the socket's peer, never taken
 * from coordctl.
 *
 * The answer: any number of ADM_ROW, each the text of one JSON object with
 * its NUL, then ADM_END; or CTL_FAIL (code 1: failed, 2: wrong usage) with
 * one line for a person. Rows before a CTL_FAIL are shown too. An ADM_ROW
 * takes MSG_CHUNK_MAX bytes at most: long texts come as several rows.
 *
 * Times are RFC 3339 texts in UTC, null for "never" or "not known".
 *
 * words (the last column of the table)    keys of each row
 *
 * user list                               id name display role created nodes
 * user create name=                       id name
 * user rename user= name=                 id name
 * user delete user=                       (none)
 * user role user= role=                   id name role
 *
 * key create [user=] [tag=...] [reusable=1] [ephemeral=1] [expiry=SECONDS]
 *                                         as list, and key (the secret: it
 *                                         is shown this once)
 * key list                                id prefix user tags reusable
 *                                         ephemeral used (how often) revoked
 *                                         created expiry
 * key revoke key=                         (none); an id or a prefix
 *
 * In the following node= is an ID, a name (first label) or an address.
 *
 * node list                               id name user tags addresses online
 *                                         last_seen expiry expired approved
 *                                         ephemeral wireguard version os
 * node show node=                         as list, and key machine disco
 *                                         endpoints routes (advertised)
 *                                         approved_routes created hostname
 *                                         derp attributes (that it set,
 *                                         name=value)
 * node approve node= [user=]              as show; node= may also be the
 *                                         last part of a login URL, or the
 *                                         whole URL, and user= is wanted then
 * node rename node= name=                 as show
 * node tag node= tag=...                  as show
 * node expire node=                       as show
 * node delete node=                       (none)
 * node ping node= [target=] [type=]       id name type milliseconds; with a
 *                                         target (a node or an address):
 *                                         target (its address), and what the
 *                                         node says of it: target_name,
 *                                         endpoint or relay or derp
 * node c2n node= path= [post=1] [body=]   text (pieces of what it answers)
 * node routes node= verb=approve|revoke route=...
 *                                         id name routes approved_routes
 * node add-wireguard name= [user=] key= endpoint= allow=...
 *     [masquerade=...]                    as show; key= is base64 as wg(8)
 *                                         prints it, or nodekey:hex;
 *                                         endpoint= is addr:port; allow= is
 *                                         its own tailnet address or a route
 *                                         behind it; masquerade= is what
 *                                         nodes call themselves towards it,
 *                                         one for each family
 *
 * policy get                              text (pieces, to be joined)
 * policy check, policy set, policy test   ok; text, of the form
 *                                         "policy:LINE: what", for each
 *                                         trouble, then CTL_FAIL (the file
 *                                         rides along as the descriptor)
 * policy explain source= destination= [port=] [proto=]
 *                                         allowed source destination port
 *                                         proto line (of the policy, 0: no
 *                                         rule) rule (its text)
 *
 * derp list                               id code name nodes (name host:port)
 *                                         homes (nodes whose home it is)
 * derp probe                              a row for each relay, for coordctl
 *                                         to ask: region code name host ipv4
 *                                         ipv6 cert port stun (0: none)
 *                                         stun_only insecure
 *
 * status                                  users nodes online pending policy
 *                                         (none, file, store, allow) store
 *                                         (coordd puts a row of its own in
 *                                         front: version url uptime children)
 */

#define ADM_READ	0	/* for the socket's group */
#define ADM_CHANGE	1	/* for root */
#define ADM_FD		2	/* a file rides along */

/* V(object, verb or "", flags) */
#define ADM_VERBS(V) \
V("user", "list", ADM_READ) \
V("user", "create", ADM_CHANGE) \
V("user", "rename", ADM_CHANGE) \
V("user", "delete", ADM_CHANGE) \
V("user", "role", ADM_CHANGE) \
V("key", "list", ADM_READ) \
V("key", "create", ADM_CHANGE) \
V("key", "revoke", ADM_CHANGE) \
V("node", "list", ADM_READ) \
V("node", "show", ADM_READ) \
V("node", "approve", ADM_CHANGE) \
V("node", "rename", ADM_CHANGE) \
V("node", "tag", ADM_CHANGE) \
V("node", "expire", ADM_CHANGE) \
V("node", "delete", ADM_CHANGE) \
V("node", "ping", ADM_READ) \
V("node", "c2n", ADM_CHANGE) \
V("node", "routes", ADM_CHANGE) \
V("node", "add-wireguard", ADM_CHANGE) \
V("policy", "get", ADM_READ) \
V("policy", "check", ADM_READ | ADM_FD) \
V("policy", "test", ADM_READ | ADM_FD) \
V("policy", "set", ADM_CHANGE | ADM_FD) \
V("policy", "explain", ADM_READ) \
V("derp", "list", ADM_READ) \
V("derp", "probe", ADM_READ) \
V("status", "", ADM_READ)

#define ADM_WORDS_MAX	128	/* words of one request */
#define ADM_POLICY_MAX	(4 * 1024 * 1024)	/* bytes of a policy file */

#endif /* COORDD_ADM_H */
