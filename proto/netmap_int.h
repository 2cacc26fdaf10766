/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the files of the netmap share among themselves.
 */

#ifndef PROTO_NETMAP_INT_H
#define PROTO_NETMAP_INT_H

/* netmap_node.c; readers return 0 or -1, NULL JSON leaves the target. */
void	 nm_node_free(struct nm_node *);
void	 nm_strs_free(char **, uint32_t);
int	 nm_strs_parse(json_t *, size_t, size_t, char ***, uint32_t *);
int	 nm_prefixes_parse(json_t *, struct nm_prefix **, uint32_t *);
int	 nm_endpoints_parse(json_t *, struct nm_endpoint **, uint32_t *);
int	 nm_capmap_parse(json_t *, char **);
char	*nm_hostinfo_str(const char *, const char *);
struct nm_node
	*nm_node_parse(json_t *, int);

/* netmap_name.c: n_computed and n_computed_host from name and host. */
int	 nm_node_names(struct nm_node *, const char *);

/* netmap_patch.c */

/* A change to one peer; what is unset stays. */
#define PP_ENDPOINTS	0x001
#define PP_KEY		0x002
#define PP_DISCO	0x004
#define PP_ONLINE	0x008
#define PP_LASTSEEN	0x010
#define PP_KEYEXPIRY	0x020
#define PP_KEYSIG	0x040
#define PP_CAPMAP	0x080
#define PP_DERP		0x100
#define PP_CAP		0x200

struct nm_patch {
	int64_t			 pp_id;
	struct nm_endpoint	*pp_endpoints;
	char			*pp_capmap;
	uint8_t			*pp_keysig;
	size_t			 pp_keysiglen;
	struct ju_time		 pp_lastseen;
	struct ju_time		 pp_keyexpiry;
	uint32_t		 pp_nendpoints;
	uint32_t		 pp_what;
	int32_t			 pp_derp;
	int32_t			 pp_cap;
	uint8_t			 pp_key[32];
	uint8_t			 pp_disco[32];
	uint8_t			 pp_online;
};

int	 nm_patch_parse(json_t *, struct nm_patch *);
void	 nm_patch_clear(struct nm_patch *);
int	 nm_patch_stale(const struct nm_patch *, const struct nm_node *);
uint32_t nm_patch_apply(struct nm_patch *, struct nm_node *);
int	 nm_patch_diff(const struct nm_node *, struct nm_node *,
	    struct nm_patch *);
uint32_t nm_node_diff(const struct nm_node *, const struct nm_node *);

/* netmap_json.c: new becomes old with new's changes; 0 or -1. */
int	 nm_merge_derp(json_t *, json_t **);
int	 nm_merge_messages(json_t *, json_t **);

/* netmap_schema.c: types of the fields that are passed through. */
enum nm_schema {
	NM_SCHEMA_HOSTINFO,
	NM_SCHEMA_DERPMAP,
	NM_SCHEMA_DNS,
	NM_SCHEMA_SSH,
	NM_SCHEMA_PING,
	NM_SCHEMA_DIAL,
	NM_SCHEMA_VERSION,
	NM_SCHEMA_MESSAGE,
	NM_SCHEMA_RESOLVER,
	NM_SCHEMA_RULE,
	NM_SCHEMA_TKA
};
int	 nm_schema_ok(enum nm_schema, json_t *);
/*
 * A copy with the known fields alone, by their exact names, of an object,
 * or of an array of them, that is of its schema. NULL: no memory.
 */
json_t	*nm_schema_copy(enum nm_schema, json_t *);
json_t	*nm_schema_copies(enum nm_schema, json_t *);

/* netmap_msg.c: a map response, parsed and checked, not yet applied. */
struct nm_seen {
	int64_t			 s_id;
	uint8_t			 s_value;
};

struct nm_newchunk {
	char			*nc_name;
	struct nm_chunk		*nc_chunk;	/* NULL: delete */
	uint8_t			 nc_old;	/* from PacketFilter */
};

struct nm_msg {
	struct nm_node		*m_self;
	struct nm_node		**m_peers;	/* whole list, or ... */
	struct nm_node		**m_changed;	/* ... PeersChanged */
	struct nm_patch		*m_patches;
	struct nm_seen		*m_seen;
	struct nm_seen		*m_online;
	struct nm_profile	**m_profiles;
	struct nm_newchunk	*m_chunks;
	int64_t			*m_removed;
	char			*m_domain;
	char			*m_auditid;
	json_t			*m_derp;
	json_t			*m_dns;
	json_t			*m_ssh;
	json_t			*m_health;
	json_t			*m_messages;
	json_t			*m_tka;
	const char		*m_error;
	uint32_t		 m_npeers;
	uint32_t		 m_nchanged;
	uint32_t		 m_npatches;
	uint32_t		 m_nseen;
	uint32_t		 m_nonline;
	uint32_t		 m_nprofiles;
	uint32_t		 m_nchunks;
	uint32_t		 m_nremoved;
	uint8_t			 m_filter;	/* filter was named at all */
	uint8_t			 m_clearfilter;	/* "*": null */
	uint8_t			 m_collect;	/* 0, 1, NM_UNKNOWN */
};

int	 nm_msg_parse(json_t *, struct nm_msg *, struct nm_effects *);
void	 nm_msg_free(struct nm_msg *);
void	 nm_profile_free(struct nm_profile *);
void	 nm_chunk_free(struct nm_chunk *);

#endif /* PROTO_NETMAP_INT_H */
